-- What the scripts of presence have in common; it stands in front of each of them.
-- Keys 3 and 4 are there with a mapping of users only: when each user expires, and how many clients it has.
local expire, data, user_expire, user_clients = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- The user in a ClientInfo: the first field, left out where it is empty. nil where the field is cut off.
local function user_of(info)
    if string.byte(info, 1) ~= 10 then
        return ""
    end
    local size, scale, at = 0, 1, 2
    while true do  -- a varint
        local byte = string.byte(info, at) or 0
        at = at + 1
        size = size + byte % 128 * scale
        if byte < 128 then
            local user = string.sub(info, at, at + size - 1)
            return #user == size and user or nil
        end
        scale = scale * 128
    end
end

-- A user, if one is known, has one client less.
local function discount(user)
    if user and redis.call("hincrby", user_clients, user, -1) <= 0 then
        redis.call("hdel", user_clients, user)
        redis.call("zrem", user_expire, user)
    end
end

-- Take out whoever is past its time at *now*, some at a time because a call of Redis takes so many arguments only.
local function purge(now, has_users)
    while true do
        local gone = redis.call("zrangebyscore", expire, 0, now, "LIMIT", 0, 1000)
        if #gone == 0 then
            break
        end
        if has_users then
            for _, info in ipairs(redis.call("hmget", data, unpack(gone))) do
                if info then
                    discount(user_of(info))
                end
            end
        end
        redis.call("hdel", data, unpack(gone))
        redis.call("zrem", expire, unpack(gone))
    end
    while has_users do
        local gone = redis.call("zrangebyscore", user_expire, 0, now, "LIMIT", 0, 1000)
        if #gone == 0 then
            break
        end
        redis.call("hdel", user_clients, unpack(gone))
        redis.call("zrem", user_expire, unpack(gone))
    end
end
