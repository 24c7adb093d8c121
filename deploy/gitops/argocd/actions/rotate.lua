-- Requests a new client secret, as `kubectl annotate` does.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["oauth-apps.dev/rotate-requested-at"] = os.date("!%Y-%m-%dT%XZ")
return obj
