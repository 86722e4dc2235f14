-- Publish without history, unless the idempotency key is known (engines specification 3.5.3).
-- Answers like the script for streams.
local result = KEYS[1]
local payload, channel, command, result_ttl = unpack(ARGV)

local known = result_of(result, result_ttl)
if known then
    return known
end
redis.call(command, channel, payload)
keep_result(result, result_ttl, "", "0")
return {"0", "", "0", "0"}
