-- Read the position of a list, and its elements up to *bound*, newest first (engines specification 3.5.5).
-- Answers {offset, epoch, elements}.
local list, meta = KEYS[1], KEYS[2]
local is_wanted, bound, meta_ttl, candidate = unpack(ARGV)

local epoch = epoch_of(meta, candidate)
local top = redis.call("hget", meta, "s") or "0"
extend(meta, meta_ttl)
if is_wanted == "0" then
    return {top, epoch, {}}
end
return {top, epoch, redis.call("lrange", list, 0, bound)}
