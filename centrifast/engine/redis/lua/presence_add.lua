-- Enter a client, or refresh it (engines specification 3.6).
local ttl, expire_at, client, info, user, has_users, has_field_ttl = unpack(ARGV)

local before = has_users == "1" and redis.call("hget", data, client)
redis.call("hset", data, client, info)
redis.call("expire", data, ttl)
if has_field_ttl == "1" then
    redis.call("hexpire", data, ttl, "FIELDS", 1, client)
else
    redis.call("zadd", expire, expire_at, client)
    redis.call("expire", expire, ttl)
end
if has_users ~= "1" then
    return
end

if not before then
    redis.call("hincrby", user_clients, user, 1)
elseif user_of(before) ~= user then
    redis.call("hincrby", user_clients, user, 1)
    discount(user_of(before))
end
redis.call("expire", user_clients, ttl)
if has_field_ttl == "1" then
    redis.call("hexpire", user_clients, ttl, "FIELDS", 1, user)
else
    redis.call("zadd", user_expire, expire_at, user)
    redis.call("expire", user_expire, ttl)
end
