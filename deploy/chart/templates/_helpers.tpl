{{/* Fixed names make Helm refuse a second operator for the same namespaces, which would conflict with the first. */}}
{{- define "oauth-app-operator.name" -}}
oauth-app-operator
{{- end }}

{{- define "oauth-app-operator.selector" -}}
app.kubernetes.io/name: {{ include "oauth-app-operator.name" . }}
{{- end }}

{{/* The pods of the Deployment, and not that of the check. */}}
{{- define "oauth-app-operator.podSelector" -}}
{{ include "oauth-app-operator.selector" . }}
app.kubernetes.io/component: operator
{{- end }}

{{/* With the component, an uninstall would delete CRDs and namespace, and all apps with them. A label of Pod Security could weaken
the level of the namespace. */}}
{{- define "oauth-app-operator.checkCommon" -}}
{{- range $value, $marks := dict "commonLabels" .Values.commonLabels "commonAnnotations" .Values.commonAnnotations -}}
{{- range $key, $_ := $marks -}}
{{- if regexMatch "^(app\\.kubernetes\\.io/(name|instance|component|version|managed-by)$|(meta\\.)?helm\\.sh/|pod-security\\.kubernetes\\.io/)" $key -}}
{{- fail (printf "%s has %s, which only the chart or Helm may set" $value $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Labels of an object: the standard ones, then `labels`, then those of all objects. The arguments are `root`, `labels` and
`component`. An uninstall selects by the component; the CRDs and the namespace do not have it, and stay. */}}
{{- define "oauth-app-operator.labels" -}}
{{- include "oauth-app-operator.checkCommon" .root -}}
{{- $labels := include "oauth-app-operator.selector" .root | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/component" (.component | default "operator") -}}
{{- $_ := set $labels "app.kubernetes.io/instance" .root.Release.Name -}}
{{- $_ := set $labels "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- toYaml (merge $labels (.labels | default dict) .root.Values.commonLabels) }}
{{- end }}

{{/* Annotations and labels of an object. The arguments are those of the labels, and `annotations`. */}}
{{- define "oauth-app-operator.marks" -}}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{ end -}}
labels:
  {{- include "oauth-app-operator.labels" . | nindent 2 }}
{{- end }}

{{/* Metadata of an object in the namespace of the release. */}}
{{- define "oauth-app-operator.metadata" -}}
name: {{ include "oauth-app-operator.name" .root }}
namespace: {{ .root.Release.Namespace }}
{{ include "oauth-app-operator.marks" . }}
{{- end }}

{{/* Several operators may share a cluster when each watches namespaces of its own. */}}
{{- define "oauth-app-operator.clusterRole" -}}
{{ include "oauth-app-operator.name" . }}{{ if .Values.watchNamespaces }}-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{- define "oauth-app-operator.clusterMetadata" -}}
name: {{ include "oauth-app-operator.clusterRole" .root }}
{{ include "oauth-app-operator.marks" . }}
{{- end }}

{{/* Every pod of the namespace that names no ServiceAccount runs as `default`, so it must not get the rights of the operator. */}}
{{- define "oauth-app-operator.serviceAccount" -}}
{{- with .Values.serviceAccount -}}
{{- if not (or .create .name) -}}
{{- fail "serviceAccount.create is false: set serviceAccount.name to an existing ServiceAccount that only the operator uses" -}}
{{- end -}}
{{- if eq .name "default" -}}
{{- fail "serviceAccount.name is default, and other pods of the namespace would get the rights of the operator: use another one" -}}
{{- end -}}
{{ .name | default (include "oauth-app-operator.name" $) }}
{{- end -}}
{{- end }}

{{- define "oauth-app-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "oauth-app-operator.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "oauth-app-operator.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* The pod of the Deployment and that of the check run with the same confinement, network and volumes, on the same nodes. */}}
{{- define "oauth-app-operator.podSecurityContext" -}}
{{- $context := dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- with .Values.runAsUser -}}
{{- $_ := set $context "runAsUser" (int .) -}}
{{- $_ := set $context "runAsGroup" (int .) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $context .Values.podSecurityContext) }}
{{- end }}

{{- define "oauth-app-operator.securityContext" -}}
{{- $context := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true -}}
{{- $_ := set $context "capabilities" (dict "drop" (list "ALL")) -}}
{{- toYaml (mergeOverwrite $context .Values.securityContext) }}
{{- end }}

{{- define "oauth-app-operator.pod" -}}
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
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.extraVolumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Environment and volume mounts of the container. */}}
{{- define "oauth-app-operator.container" -}}
{{- with include "oauth-app-operator.env" . }}
env:
  {{- . | trim | nindent 2 }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "oauth-app-operator.hasProxy" -}}
{{- with .Values.proxy }}{{ if or .httpsProxy .httpProxy .existingSecret }}true{{ end }}{{ end }}
{{- end }}

{{/* The ports of the NetworkPolicy: those that are set, or those of the URLs; if the URLs are in a Secret, that of Squid. */}}
{{- define "oauth-app-operator.proxyPorts" -}}
{{- $ports := .Values.networkPolicy.proxy.ports -}}
{{- if not (or $ports .Values.proxy.existingSecret) -}}
{{- range compact (list .Values.proxy.httpsProxy .Values.proxy.httpProxy) -}}
{{- $port := regexFind ":[0-9]+/?$" . | trimAll ":/" | default (ternary "443" "80" (hasPrefix "https:" .)) -}}
{{- $ports = append $ports (int $port) -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | default (list 3128) | toJson -}}
{{- end }}

{{- define "oauth-app-operator.env" -}}
{{- if include "oauth-app-operator.hasProxy" . }}
{{- range .Values.extraEnv }}
{{- if has (upper .name) (list "HTTPS_PROXY" "HTTP_PROXY" "ALL_PROXY" "NO_PROXY") }}
{{- fail (printf "extraEnv has %s, and the values of proxy set these variables: use one of the two" .name) }}
{{- end }}
{{- end }}
{{- with .Values.proxy }}
{{- if .existingSecret }}
- name: HTTPS_PROXY
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: httpsProxy
- name: HTTP_PROXY
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: httpProxy
      optional: true
{{- else }}
{{- with .httpsProxy }}
- name: HTTPS_PROXY
  value: {{ quote . }}
{{- end }}
{{- with .httpProxy }}
- name: HTTP_PROXY
  value: {{ quote . }}
{{- end }}
{{- end }}
# Kubernetes sets KUBERNETES_SERVICE_HOST, the address of the API server, in every container.
- name: NO_PROXY
  value: {{ concat (list "$(KUBERNETES_SERVICE_HOST)" ".svc" ".cluster.local" "localhost" "127.0.0.1" "::1") .noProxy | join "," | quote }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
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

{{/* An egress rule of the NetworkPolicy to a destination: its ports and CIDRs. */}}
{{- define "oauth-app-operator.egress" -}}
- ports:
    {{- range .ports }}
    - port: {{ . }}
    {{- end }}
  {{- with .cidrs }}
  to:
    {{- range . }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
  {{- end }}
{{- end }}
