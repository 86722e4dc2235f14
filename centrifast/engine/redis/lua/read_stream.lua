-- Read the position of a stream, and entries of it (engines specification 3.5.4). Answers {offset, epoch, entries}.
local stream, meta = KEYS[1], KEYS[2]
local is_wanted, since, limit, is_reverse, meta_ttl, candidate = unpack(ARGV)

local epoch = epoch_of(meta, candidate)
local top = redis.call("hget", meta, "s") or "0"
extend(meta, meta_ttl)
if is_wanted == "0" or top == "0" then  -- entries without a top are of an epoch that was lost
    return {top, epoch, {}}
end
local command, first, last = "xrange", since, "+"
if is_reverse == "1" then
    command, first, last = "xrevrange", since ~= "0" and since or top, "-"
end
if limit == "0" then
    return {top, epoch, redis.call(command, stream, first, last)}
end
return {top, epoch, redis.call(command, stream, first, last, "COUNT", limit)}
