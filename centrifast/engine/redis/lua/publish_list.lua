-- Publish with history kept in a list, newest first (engines specification 3.5.2); *bound* is its size less one.
-- Takes and answers the same as the script for streams. Versions are heeded, which upstream ignores with lists.
local list, meta, result = KEYS[1], KEYS[2], KEYS[3]
local payload, bound, ttl, channel, meta_ttl, candidate, command, result_ttl, delta, version, version_epoch = unpack(ARGV)

local known = result_of(result, result_ttl)
if known then
    return known
end
local epoch = epoch_of(meta, candidate)
local refused = stale(meta, epoch, version, version_epoch)
if refused then
    return refused
end
local offset = next_offset(meta)
extend(meta, meta_ttl)

local before = ""
if offset == "1" then
    redis.call("del", list)  -- what is left of another epoch
elseif delta == "1" then
    -- Subscribers expect the publication alone: with its header they could not read it.
    local newest = redis.call("lindex", list, 0) or ""
    local _, last = string.find(newest, "__", 3, true)
    before = string.sub(newest, (last or #newest) + 1)
end
redis.call("lpush", list, header(offset, epoch) .. payload)
redis.call("ltrim", list, 0, bound)
redis.call("expire", list, ttl)

broadcast(command, channel, offset, epoch, payload, delta, before)
keep_result(result, result_ttl, epoch, offset)
return {offset, epoch, "0", "0"}
