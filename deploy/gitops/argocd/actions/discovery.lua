-- The actions that Argo CD offers for an OrgOAuthApp. Only a secret that the operator generates can be rotated.
local own = not obj.spec.publicClient and obj.spec.clientSecretRef == nil
return {reconcile = {disabled = false}, rotate = {disabled = not own}}
