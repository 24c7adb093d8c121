{{/* Fixed names make Helm refuse a second operator for the same namespaces, which would conflict with the first. */}}
{{- define "oauth-app-operator.name" -}}
oauth-app-operator
{{- end }}

{{- define "oauth-app-operator.selector" -}}
app.kubernetes.io/name: {{ include "oauth-app-operator.name" . }}
{{- end }}

{{/* An uninstall selects by the component; the CRDs and the namespace do not have it, and stay. */}}
{{- define "oauth-app-operator.labels" -}}
{{ include "oauth-app-operator.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "oauth-app-operator.metadata" -}}
name: {{ include "oauth-app-operator.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "oauth-app-operator.labels" . | nindent 2 }}
{{- end }}

{{/* Several operators may share a cluster when each watches namespaces of its own. */}}
{{- define "oauth-app-operator.clusterRole" -}}
{{ include "oauth-app-operator.name" . }}{{ if .Values.watchNamespaces }}-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{- define "oauth-app-operator.clusterMetadata" -}}
name: {{ include "oauth-app-operator.clusterRole" . }}
labels:
  {{- include "oauth-app-operator.labels" . | nindent 2 }}
{{- end }}

{{- define "oauth-app-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "oauth-app-operator.name" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "oauth-app-operator.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* The pod of the Deployment and that of the check run with the same confinement, on the same nodes. */}}
{{- define "oauth-app-operator.podSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.runAsUser }}
runAsUser: {{ int . }}
runAsGroup: {{ int . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "oauth-app-operator.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "oauth-app-operator.nodes" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Whether Secrets are watched: the value, or by default only in a scoped install. Empty means no. */}}
{{- define "oauth-app-operator.watchSecrets" -}}
{{- $default := not (empty .Values.watchNamespaces) -}}
{{- if ternary $default .Values.watchSecrets (kindIs "invalid" .Values.watchSecrets) -}}
true
{{- end -}}
{{- end }}

{{/* Permissions in namespaces with apps: in all namespaces, or in each watched one. */}}
{{- define "oauth-app-operator.appRules" -}}
# Watch the resources; add and remove the finalizer.
- apiGroups: [oauth-apps.dev]
  resources: [orgoauthapps]
  verbs: [get, list, watch, patch]
# Report their status.
- apiGroups: [oauth-apps.dev]
  resources: [orgoauthapps/status]
  verbs: [patch]
# Write the Secret of a resource, by its name. Delete is for the old Secret after a rename, and to set the
# owner if OwnerReferencesPermissionEnforcement is enabled, as on OpenShift.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, update, delete]
{{- if include "oauth-app-operator.watchSecrets" . }}
# Detect at once that such a Secret was deleted or edited. The operator requests only the metadata of Secrets with its label,
# but Kubernetes has no narrower permission than reading all of them. `watchSecrets: false` removes it.
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch]
{{- end }}
# Find the pods that still use a Secret, for deletionPolicy DeleteWhenUnused, or have its previous value after a rotation.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- if .Values.rotation.restart }}
# Restart the workloads in spec.rotation.restart, after a check that they use the Secret.
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [get, patch]
{{- end }}
# Publish Events.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* The NetworkPolicy peers for these CIDRs. */}}
{{- define "oauth-app-operator.to" -}}
to:
  {{- range . }}
  - ipBlock:
      cidr: {{ . }}
  {{- end }}
{{- end }}
