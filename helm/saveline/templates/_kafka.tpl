{{- /* How a process logs in to Kafka: its own user, out of a Secret as Strimzi's user operator writes it. */ -}}
{{- define "saveline.kafkaUser" -}}
{{- index (index .root.Values.kafka.users .component | default dict) "user" | default (printf "%s-%s" .root.Release.Name .component) }}
{{- end }}

{{- define "saveline.kafkaSecret" -}}
{{- index (index .root.Values.kafka.users .component | default dict) "secretName" | default (printf "%s-%s" .root.Release.Name .component) }}
{{- end }}

{{- define "saveline.kafkaEnv" -}}
{{- $kafka := .root.Values.kafka }}
{{- $folder := "/etc/saveline-kafka" }}
{{- if ne $kafka.security "PLAINTEXT" }}
- {name: SAVELINE_BROKER_SECURITY, value: {{ $kafka.security }}}
{{- if $kafka.caSecretName }}
- {name: SAVELINE_BROKER_CA_FILE, value: {{ $folder }}/ca.crt}
{{- end }}
{{- if hasPrefix "SASL" $kafka.security }}
- {name: SAVELINE_BROKER_MECHANISM, value: {{ $kafka.mechanism }}}
- {name: SAVELINE_BROKER_USER, value: {{ include "saveline.kafkaUser" . }}}
- {name: SAVELINE_BROKER_PASSWORD_FILE, value: {{ $folder }}/password}
{{- else }}
- {name: SAVELINE_BROKER_CERTIFICATE_FILE, value: {{ $folder }}/user.crt}
- {name: SAVELINE_BROKER_KEY_FILE, value: {{ $folder }}/user.key}
{{- end }}
{{- end }}
{{- end }}

{{- define "saveline.kafkaMount" -}}
{{- if ne .root.Values.kafka.security "PLAINTEXT" }}
- {name: kafka, mountPath: /etc/saveline-kafka, readOnly: true}
{{- end }}
{{- end }}

{{- define "saveline.kafkaVolume" -}}
{{- $kafka := .root.Values.kafka }}
{{- if ne $kafka.security "PLAINTEXT" }}
- name: kafka
  projected:
    sources:
      - secret:
          name: {{ include "saveline.kafkaSecret" . }}
          items:
            {{- range ternary (list "password") (list "user.crt" "user.key") (hasPrefix "SASL" $kafka.security) }}
            - {key: {{ . }}, path: {{ . }}}
            {{- end }}
      {{- with $kafka.caSecretName }}
      - secret:
          name: {{ . }}
          items:
            - {key: ca.crt, path: ca.crt}
      {{- end }}
{{- end }}
{{- end }}

{{- define "saveline.kafkaTrigger" -}}
{{- $kafka := .root.Values.kafka }}
{{- if hasPrefix "SASL" $kafka.security }}
sasl: {{ get (dict "PLAIN" "plaintext" "SCRAM-SHA-256" "scram_sha256" "SCRAM-SHA-512" "scram_sha512") $kafka.mechanism }}
{{- end }}
{{- if hasSuffix "SSL" $kafka.security }}
tls: enable
{{- end }}
{{- end }}

{{- define "saveline.kafkaTriggerLogin" -}}
{{- if ne .root.Values.kafka.security "PLAINTEXT" }}
authenticationRef: {name: {{ .root.Release.Name }}-{{ .component }}}
{{- end }}
{{- end }}
