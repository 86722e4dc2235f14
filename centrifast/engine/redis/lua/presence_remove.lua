-- Take a client out; nothing happens if it is not in (engines specification 3.6).
local client, has_users = unpack(ARGV)

local before = has_users == "1" and redis.call("hget", data, client)
redis.call("hdel", data, client)
redis.call("zrem", expire, client)
if before then
    discount(user_of(before))
end
