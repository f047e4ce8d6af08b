{{- define "saveline.selector" -}}
app.kubernetes.io/name: saveline
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "saveline.labels" -}}
{{ include "saveline.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "saveline.podUser" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "saveline.podSecurity" -}}
automountServiceAccountToken: false
serviceAccountName: {{ .root.Release.Name }}-saveline
securityContext: {{- include "saveline.podUser" .root | nindent 2 }}
{{- end }}

{{- define "saveline.program" -}}
image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
imagePullPolicy: {{ .root.Values.image.pullPolicy | default "IfNotPresent" }}
command: ["saveline"]
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
envFrom:
  - secretRef: {name: {{ .root.Values.secretName }}}
{{- end }}

{{- define "saveline.container" -}}
{{ include "saveline.program" . }}
ports:
  - {name: http, containerPort: {{ .port }}}
# Live: a restart would help. A rebalance or a broker that is away is no reason.
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
# Policies, registry and a restore from an empty disk come first.
startupProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 5
  failureThreshold: 60
{{- end }}

{{- define "saveline.env" -}}
{{- range $name, $value := .root.Values.settings }}
- {name: SAVELINE_{{ $name }}, value: {{ $value | quote }}}
{{- end }}
- {name: SAVELINE_HTTP_HOST, value: "0.0.0.0"}
- {name: SAVELINE_HTTP_PORT, value: "{{ .port }}"}
{{- end }}
