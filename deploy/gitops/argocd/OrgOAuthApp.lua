-- The health of an OrgOAuthApp for Argo CD, from its conditions.
local conditions = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    conditions[condition.type] = condition
  end
end

local function is(kind, status)
  return conditions[kind] ~= nil and conditions[kind].status == status
end

local function health(status, kind, otherwise)
  local hs = {status = status, message = otherwise}
  if conditions[kind] ~= nil and conditions[kind].message ~= "" then
    hs.message = conditions[kind].reason .. ": " .. conditions[kind].message
  end
  return hs
end

if obj.metadata.deletionTimestamp ~= nil then
  local kind = is("Stalled", "True") and "Stalled" or is("Reconciling", "True") and "Reconciling" or nil
  return health("Progressing", kind, "The app is being deleted.")
end
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "The operator has not reconciled this generation of the resource yet."}
end
if obj.spec.suspend then
  return health("Suspended", "Synced", "spec.suspend is set.")
end
if is("Stalled", "True") then
  return health("Degraded", "Stalled", "See the conditions.")
end
if is("Reconciling", "True") then
  return health("Progressing", "Reconciling", "The operator is reconciling.")
end
-- With managementPolicy: Observe the message of Synced says what Full would do.
if is("Ready", "True") then
  return health("Healthy", is("Synced", "False") and "Synced" or "Ready", "The credentials are in the Secret.")
end
if is("Ready", "False") then
  return health("Suspended", "Ready", "managementPolicy: Observe is set; set Full to apply the plan.")
end
return health("Progressing", "Ready", "The operator has not reconciled the resource yet.")
