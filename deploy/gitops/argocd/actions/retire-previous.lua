-- Requests the end of an overlap, as `kubectl annotate` does: only the current client secret stays valid.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["oauth-apps.dev/retire-previous-at"] = os.date("!%Y-%m-%dT%XZ")
return obj
