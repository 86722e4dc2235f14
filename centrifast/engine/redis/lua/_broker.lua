-- What the scripts of the broker have in common; it stands in front of each of them.

-- The epoch of a stream; *candidate* becomes it where there is none.
local function epoch_of(meta, candidate)
    local epoch = redis.call("hget", meta, "e")
    if not epoch then
        redis.call("hset", meta, "e", candidate)
        epoch = candidate
    end
    return epoch
end

-- Let the epoch live *ttl* seconds more; "0": nothing changes.
local function extend(meta, ttl)
    if ttl ~= "0" then
        redis.call("expire", meta, ttl)
    end
end

-- What a publication with this idempotency key was answered before, or nil; *ttl* is empty without a key.
local function result_of(result, ttl)
    if ttl == "" then
        return nil
    end
    local known = redis.call("hmget", result, "e", "s")
    if not known[1] then
        return nil
    end
    return {known[2] or "0", known[1], "1", "0"}
end

-- Remember the answer for *ttl* seconds.
local function keep_result(result, ttl, epoch, offset)
    if ttl ~= "" then
        redis.call("hset", result, "e", epoch, "s", offset)
        redis.call("expire", result, ttl)
    end
end

-- Whether a publication of this version comes too late: its answer, or nil after its version was stored; "0": none.
-- Decimal numbers are compared as texts, because a number of Lua holds 53 bits and a version 64.
local function stale(meta, epoch, version, version_epoch)
    if version == "0" then
        return nil
    end
    local known = redis.call("hmget", meta, "v", "ve", "s")
    local newest = known[1]
    if newest and (version_epoch == "" or version_epoch == known[2])
        and (#newest > #version or (#newest == #version and newest >= version)) then
        return {known[3] or "0", epoch, "0", "1"}
    end
    redis.call("hset", meta, "v", version, "ve", version_epoch)
    return nil
end

-- The next offset, as a text: a number of Lua becomes 1e+14 if left to itself.
local function next_offset(meta)
    return string.format("%.0f", redis.call("hincrby", meta, "s", 1))
end

local function header(offset, epoch)
    return "__p1:" .. offset .. ":" .. epoch .. "__"
end

-- Tell those who are subscribed; without a *channel* nobody. With *delta* the publication *before* goes along.
local function broadcast(command, channel, offset, epoch, payload, delta, before)
    if channel == "" then
        return
    end
    local frame
    if delta == "1" then
        frame = "__d1:" .. offset .. ":" .. epoch .. ":" .. #before .. ":" .. before .. ":" .. #payload .. ":" .. payload
    else
        frame = header(offset, epoch) .. payload
    end
    redis.call(command, channel, frame)
end
