{{- /* What the schema cannot say: values that contradict each other, all of them at once. */ -}}
{{- define "saveline.checks" -}}
{{- $values := .Values }}
{{- $wrong := list }}
{{- if $values.networkPolicy.enabled }}
{{- $open := list }}
{{- range $values.networkPolicy.egress.kafka.ports }}{{ $open = append $open (int .) }}{{ end }}
{{- range splitList "," $values.settings.BROKER }}
{{- $port := regexFind "[0-9]+$" . | int }}
{{- if not (has $port $open) }}
{{- $wrong = append $wrong (printf "networkPolicy.egress.kafka.ports: lacks %d, the port of %s in settings.BROKER" $port .) }}
{{- end }}
{{- end }}
{{- end }}
{{- $partitions := $values.settings.PARTITIONS | default "48" | int }}
{{- if gt (int $values.worker.replicas) $partitions }}
{{- $wrong = append $wrong (printf "worker.replicas: %d is beyond settings.PARTITIONS, %d: the rest would have nothing to do" (int $values.worker.replicas) $partitions) }}
{{- end }}
{{- $parts := list }}
{{- $names := list }}
{{- range $values.connectors.groups }}
{{- $names = append $names .name }}
{{- $parts = concat $parts (ternary (splitList "," .only) (include "saveline.parts" . | splitList ",") (ne .only "")) }}
{{- if and $values.autoscaling.connectors.enabled (gt (int .replicas) (int $values.autoscaling.connectors.maxReplicas)) }}
{{- $wrong = append $wrong (printf "autoscaling.connectors.maxReplicas: less than the replicas of group %s" .name) }}
{{- end }}
{{- end }}
{{- if ne (len $names) (len (uniq $names)) }}
{{- $wrong = append $wrong "connectors.groups: two have the same name" }}
{{- end }}
{{- range include "saveline.parts" . | splitList "," }}
{{- $part := . }}
{{- $times := 0 }}
{{- range $parts }}{{ if eq . $part }}{{ $times = add1 $times }}{{ end }}{{ end }}
{{- if ne (int $times) 1 }}
{{- $wrong = append $wrong (printf "connectors.groups: %s runs in %d of them; each part runs in exactly one" $part (int $times)) }}
{{- end }}
{{- end }}
{{- if and $values.autoscaling.edge.enabled (gt (int $values.edge.replicas) (int $values.autoscaling.edge.maxReplicas)) }}
{{- $wrong = append $wrong "autoscaling.edge.maxReplicas: less than edge.replicas" }}
{{- end }}
{{- if and $values.strimzi.enabled (hasPrefix "SASL" $values.kafka.security) (ne $values.kafka.mechanism "SCRAM-SHA-512") }}
{{- $wrong = append $wrong (printf "kafka.mechanism: %s, but Strimzi's users log in by SCRAM-SHA-512" $values.kafka.mechanism) }}
{{- end }}
{{- range $name := list "SECURITY" "MECHANISM" "USER" "PASSWORD" "PASSWORD_FILE" "CA_FILE" "CERTIFICATE_FILE" "KEY_FILE" }}
{{- if hasKey $values.settings (printf "BROKER_%s" $name) }}
{{- $wrong = append $wrong (printf "settings.BROKER_%s: is made of kafka; leave it out" $name) }}
{{- end }}
{{- end }}
{{- if and $values.ingress.enabled (hasKey $values.settings "PUBLIC_URL") }}
{{- $wrong = append $wrong "settings.PUBLIC_URL: is made of ingress.host; leave it out" }}
{{- end }}
{{- if and $values.externalSecrets.enabled (eq $values.secretName $values.filesSecretName) }}
{{- $wrong = append $wrong "filesSecretName: is secretName too; external secrets need two" }}
{{- end }}
{{- if $wrong }}
{{- fail (printf "values that do not go together:\n- %s" (join "\n- " $wrong)) }}
{{- end }}
{{- end }}

{{- define "saveline.parts" -}}
intake,push,sms,email,voice,person,write-back,evidence,register
{{- end }}
