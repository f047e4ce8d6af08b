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

{{- define "saveline.pod" -}}
automountServiceAccountToken: false
# Else every Service would become variables, some of them behind our own prefix.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - {name: {{ . }}}
  {{- end }}
{{- end }}
{{- with .root.Values.pods.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.pods.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "saveline.process" -}}
{{ include "saveline.pod" . }}
serviceAccountName: {{ .root.Release.Name }}-saveline
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    # A pod beside its like is better than none.
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "saveline.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}

{{- define "saveline.program" -}}
{{- $image := .root.Values.image }}
{{- if $image.digest }}
image: {{ printf "%s@%s" $image.repository $image.digest | quote }}
{{- else }}
image: {{ printf "%s:%s" $image.repository ($image.tag | default .root.Chart.AppVersion) | quote }}
{{- end }}
imagePullPolicy: {{ $image.pullPolicy | default "IfNotPresent" }}
command: ["saveline"]
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "saveline.container" -}}
{{ include "saveline.program" . }}
ports:
  - {name: platform, containerPort: {{ .port }}}
  {{- with .doors }}
  - {name: http, containerPort: {{ . }}}
  {{- end }}
# Live: a restart would help. A rebalance or a broker that is away is no reason.
livenessProbe:
  httpGet: {path: /livez, port: platform}
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: platform}
  periodSeconds: 5
# Policies and the registry come first; during a restore a worker answers already.
startupProbe:
  httpGet: {path: /livez, port: platform}
  periodSeconds: 5
  failureThreshold: 60
{{- end }}

{{- /* Of the Secret only what this process asks for; what it lacks then, it says itself, all at once. */ -}}
{{- define "saveline.secretEnv" -}}
{{- $values := .root.Values }}
{{- range get (.root.Files.Get "files/secrets.json" | fromJson) .process }}
{{- $name := trimPrefix "SAVELINE_" . }}
{{- if not (or (hasKey $values.settings $name) (and $values.ingress.enabled (eq $name "PUBLIC_URL"))) }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ $values.secretName }}, key: {{ . }}, optional: true}}
{{- end }}
{{- end }}
{{- end }}

{{- define "saveline.env" -}}
{{- range $name, $value := .root.Values.settings }}
- {name: SAVELINE_{{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- if .root.Values.ingress.enabled }}
- {name: SAVELINE_PUBLIC_URL, value: "https://{{ .root.Values.ingress.host }}"}
{{- end }}
- {name: SAVELINE_HTTP_HOST, value: "0.0.0.0"}
{{- if .doors }}
- {name: SAVELINE_HTTP_PORT, value: "{{ .doors }}"}
- {name: SAVELINE_PLATFORM_PORT, value: "{{ .port }}"}
{{- else }}
- {name: SAVELINE_HTTP_PORT, value: "{{ .port }}"}
{{- end }}
{{- end }}
