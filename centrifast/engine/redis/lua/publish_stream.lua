-- Publish with history kept in a stream (engines specification 3.5.1).
-- Answers {offset, epoch, "1" if the idempotency key was known, "1" if the version was not above the stored one}.
local stream, meta, result = KEYS[1], KEYS[2], KEYS[3]
local payload, size, ttl, channel, meta_ttl, candidate, command, result_ttl, delta, version, version_epoch = unpack(ARGV)

local known = result_of(result, result_ttl)
if known then
    return known
end
local epoch = epoch_of(meta, candidate)
local refused = stale(meta, epoch, version, version_epoch)
if refused then
    return refused  -- no life is extended
end
local offset = next_offset(meta)
extend(meta, meta_ttl)

local before = ""
if offset == "1" then
    -- The epoch was lost and the stream was not: its entries are of no use, and would not let lower ones in.
    redis.call("del", stream)
elseif delta == "1" then
    local newest = redis.call("xrevrange", stream, "+", "-", "COUNT", "1")[1]
    if newest then
        before = newest[2][2]
    end
end
redis.call("xadd", stream, "MAXLEN", size, offset, "d", payload)
redis.call("expire", stream, ttl)

broadcast(command, channel, offset, epoch, payload, delta, before)
keep_result(result, result_ttl, epoch, offset)
return {offset, epoch, "0", "0"}
