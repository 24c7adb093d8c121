{{/* Names are fixed, so that Helm refuses a second operator for the same namespaces, which would fight the first. */}}
{{- define "oauth-app-operator.name" -}}
oauth-app-operator
{{- end }}

{{- define "oauth-app-operator.selector" -}}
app.kubernetes.io/name: {{ include "oauth-app-operator.name" . }}
{{- end }}

{{/* The component tells what an uninstall takes from what it leaves, which are the definitions and the namespace. */}}
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

{{/* Whether Secrets are watched: as the value says, else in a scoped install only. Empty is no. */}}
{{- define "oauth-app-operator.watchSecrets" -}}
{{- $default := not (empty .Values.watchNamespaces) -}}
{{- if ternary $default .Values.watchSecrets (kindIs "invalid" .Values.watchSecrets) -}}
true
{{- end -}}
{{- end }}

{{/* What the operator does where apps are: in all namespaces, or in each watched one. */}}
{{- define "oauth-app-operator.appRules" -}}
# Watch the resources; add and remove the finalizer.
- apiGroups: [oauth-apps.dev]
  resources: [orgoauthapps]
  verbs: [get, list, watch, patch]
# Say how they are.
- apiGroups: [oauth-apps.dev]
  resources: [orgoauthapps/status]
  verbs: [patch]
# Write the Secret of a resource, by its name. Delete is for the one that a renamed Secret leaves, and to set its
# owner where OwnerReferencesPermissionEnforcement is on, as on OpenShift.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, update, delete]
{{- if include "oauth-app-operator.watchSecrets" . }}
# Notice at once that such a Secret was deleted or edited. The operator asks for the metadata of its own by their label, but
# Kubernetes grants no less than to read all of them. `watchSecrets: false` takes this away.
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch]
{{- end }}
# Find the pods that still use a Secret, for deletionPolicy DeleteWhenUnused, or hold its previous value after a rotation.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- if .Values.rotation.restart }}
# Restart the workloads that spec.rotation.restart names, once it is seen that they use the Secret.
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [get, patch]
{{- end }}
# Say what happened.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* The peers of a NetworkPolicy rule that have these addresses. */}}
{{- define "oauth-app-operator.to" -}}
to:
  {{- range . }}
  - ipBlock:
      cidr: {{ . }}
  {{- end }}
{{- end }}
