-- Everybody in a channel: client ids and infos by turns (engines specification 3.6). The counts of users whose clients
-- are past their time go down too, which upstream leaves to the users' own expiry.
local now, has_users, has_field_ttl = unpack(ARGV)

if has_field_ttl ~= "1" then
    purge(now, has_users == "1")
end
return redis.call("hgetall", data)
