-- The actions that Argo CD offers for an OrgOAuthApp. Only a secret that the operator generates can be rotated, and only a
-- previous one that is still valid and that no pod is known to use can be retired.
local own = not obj.spec.publicClient and obj.spec.clientSecretRef == nil
local rotation = obj.status ~= nil and obj.status.rotation or nil
local overlaps = rotation ~= nil and rotation.previousExpiresAt ~= nil
local isUsed = rotation ~= nil and (rotation.staleConsumerCount or 0) > 0
return {
  reconcile = {disabled = false},
  rotate = {disabled = not own},
  ["retire-previous"] = {disabled = not overlaps or isUsed},
}
