-- The health of an IamConnection for Argo CD, from its conditions.
local conditions = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    conditions[condition.type] = condition
  end
end

local function is(kind, status)
  return conditions[kind] ~= nil and conditions[kind].status == status
end

if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = "The connection is being deleted."}
end
local ready = conditions.Ready
if ready == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "The operator has not reconciled this generation of the connection yet."}
end
local message = ready.reason .. ": " .. ready.message
if is("Stalled", "True") then
  return {status = "Degraded", message = message}
end
if not is("Ready", "True") then
  return {status = "Progressing", message = message}
end
local expiring = conditions.CredentialsExpiring
if expiring ~= nil and expiring.status ~= "False" then
  message = expiring.reason .. ": " .. expiring.message
end
return {status = "Healthy", message = message}
