-- Findings that `wirewhy annotate` and `wirewhy live --evidence` write as packet comments, as fields to filter on.
--
-- Install: copy this file into the folder "Personal Lua Plugins" (Help, About Wireshark, Folders), or load it once with
--     wireshark -X lua_script:wirewhy.lua annotated.pcapng
--     tshark -X lua_script:wirewhy.lua -r annotated.pcapng -Y 'wirewhy.severity == "error"'
--
-- Fields, each once for every finding of a packet:
--     wirewhy.code        the code, such as tcp.refused
--     wirewhy.decisive    true on the packet that decides, false on the others that prove it
--     wirewhy.see         on the others: the number of the packet that decides
--     wirewhy.severity    error, warning, note (on the packet that decides, as all that follow)
--     wirewhy.confidence  certain, likely, possible
--     wirewhy.culprit     client, server, path, unknown, with an address where there is one
--     wirewhy.cause       the code of the finding that explains this one
--     wirewhy.summary     the sentence

local wirewhy = Proto("wirewhy", "wirewhy findings")

local fields = {
    code = ProtoField.string("wirewhy.code", "Code"),
    decisive = ProtoField.bool("wirewhy.decisive", "Decisive packet"),
    see = ProtoField.framenum("wirewhy.see", "Decisive packet", base.NONE),
    severity = ProtoField.string("wirewhy.severity", "Severity"),
    confidence = ProtoField.string("wirewhy.confidence", "Confidence"),
    culprit = ProtoField.string("wirewhy.culprit", "Culprit"),
    cause = ProtoField.string("wirewhy.cause", "A consequence of"),
    summary = ProtoField.string("wirewhy.summary", "Finding"),
}
wirewhy.fields = {
    fields.code, fields.decisive, fields.see, fields.severity, fields.confidence, fields.culprit, fields.cause, fields.summary,
}

local comments = Field.new("frame.comment")

local CODE = "^([%l%d][%l%d-]*%.[%l%d-]+)"
local IN_FULL = CODE .. " %((%l+), (%l+), culprit: ([^)]*)%): (.*)$"
local SEE = CODE .. ": see packet (%d+)$"

-- The parts of a comment; nil where it is not one of wirewhy's.
local function parse(text)
    local code, severity, confidence, culprit, rest = text:match(IN_FULL)
    if code then
        local summary, cause = rest, nil
        summary = summary:gsub("; packets [%d, ]+$", "")
        local before, explains = summary:match("^(.*); a consequence of ([%l%d-]+%.[%l%d-]+)$")
        if before then
            summary, cause = before, explains
        end
        return {
            code = code, decisive = true, severity = severity, confidence = confidence, culprit = culprit,
            cause = cause, summary = summary,
        }
    end
    local other, see = text:match(SEE)
    if other then
        return { code = other, decisive = false, see = tonumber(see) }
    end
    return nil
end

local ORDER = { "code", "decisive", "see", "severity", "confidence", "culprit", "cause", "summary" }

function wirewhy.dissector(buffer, pinfo, tree)
    for _, comment in ipairs({ comments() }) do
        local found = parse(tostring(comment.value))
        if found then
            local branch = tree:add(wirewhy, buffer(0, 0), "wirewhy: " .. (found.summary or found.code))
            for _, name in ipairs(ORDER) do
                if found[name] ~= nil then
                    branch:add(fields[name], found[name]):set_generated()
                end
            end
        end
    end
end

-- Every field that a display filter may ask for is needed, so this one of the frame is always read.
register_postdissector(wirewhy, true)
