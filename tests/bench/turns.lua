-- For wrk: asks for the paths of a file, a line each, one after the other and again from the first.
local paths, at = {}, 0

function init(args)
    for path in io.lines(args[1]) do
        paths[#paths + 1] = wrk.format("GET", path)
    end
end

function request()
    at = at % #paths + 1
    return paths[at]
end
