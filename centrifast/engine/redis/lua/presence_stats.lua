-- How many clients and users are in a channel (engines specification 3.6); only with a mapping of users.
local now, has_field_ttl = unpack(ARGV)

if has_field_ttl ~= "1" then
    purge(now, true)
end
return {redis.call("hlen", data), redis.call("hlen", user_clients)}
