{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/*
What the admission policies share. CEL has no functions of one's own, so these are pieces of text:
an argument named in each comment is an expression. They say in CEL what src/core/document and
src/core/model/resv.c say in C; tests/e2e/documents.py holds the two together.
*/}}

{{/* One of the pieces below, on one line; arguments: its name, its argument. */}}
{{- define "takt.cel" -}}
{{ regexReplaceAll "\\s*\n\\s*" (include (printf "takt.cel.%s" (index . 0)) (index . 1)) " " }}
{{- end }}

{{/* The fields of `spec`, in the order in which faults are told. */}}
{{- define "takt.cel.fields" -}}
['runtime', 'period', 'deadline', 'cores', 'guarantee', 'threads', 'placement', 'reclaim', 'adapt']
{{- end }}

{{/* A value for a sentence; argument: the value. */}}
{{- define "takt.cel.show" -}}
(type({{ . }}) == string
  ? strings.quote(size(string({{ . }})) > 40 ? string({{ . }}).substring(0, 40) + '...' : string({{ . }}))
  : type({{ . }}) == int || type({{ . }}) == double || type({{ . }}) == bool ? string({{ . }}) : 'this')
{{- end }}

{{/* Whether it is a duration that base/text.c reads, of at most some seconds; argument: the value.
     What is longer than the longest period (4.194304s) is refused anyway, and fits into an int. */}}
{{- define "takt.cel.isDuration" -}}
(type({{ . }}) == string
  && string({{ . }}).matches('^[0-9]+([.][0-9]+)?(ns|us|ms|s)$')
  && string({{ . }}).matches('^0*[0-9]{1,10}([.]0*)?ns$|^0*[0-9]{1,7}([.][0-9]{0,3}0*)?us$|^0*[0-9]{1,4}([.][0-9]{0,6}0*)?ms$|^0*[0-9]([.][0-9]{0,9}0*)?s$'))
{{- end }}

{{/* Its nanoseconds: the digits before the point, and as many behind it as the unit has, as one
     number; argument: a duration. */}}
{{- define "takt.cel.ns" -}}
int(string({{ . }}).find('^[0-9]+')
  + ((string({{ . }}).contains('.') ? string({{ . }}).find('[.][0-9]+') : '.') + '000000000').substring(1,
    1 + (string({{ . }}).endsWith('ns') ? 0 : string({{ . }}).endsWith('us') ? 3 : string({{ . }}).endsWith('ms') ? 6 : 9)))
{{- end }}

{{/* The faults of a duration; arguments: `at`, the text of its place, and `v`, the value. */}}
{{- define "takt.cel.durationFaults" -}}
({{ include "takt.cel" (list "isDuration" .v) }} ? []
  : type({{ .v }}) == string && string({{ .v }}).matches('^[0-9]+([.][0-9]+)?(ns|us|ms|s)$')
  ? [{{ .at }} + ': ' + {{ include "takt.cel" (list "show" .v) }} + ' is finer than 1ns or longer than the longest period, 4.194304s']
  : [{{ .at }} + ': ' + {{ include "takt.cel" (list "show" .v) }} + ' is not a duration: write one number and one unit (ns, us, ms or s), as in 4ms, 1.5ms or 500us'])
{{- end }}

{{/* The map of fields in the parameters, which are the bare fields or a whole document, as in
     src/cluster/dra/claim.c; argument: the parameters. */}}
{{- define "takt.cel.inner" -}}
('spec' in {{ . }} ? (type({{ . }}.spec) == map ? {{ . }}.spec : {}) : {{ . }})
{{- end }}

{{/* Whether a class is one of Takt's, by what it selects or configures. */}}
{{- define "takt.cel.classIsOurs" -}}
(has(params.spec.selectors) && params.spec.selectors.exists(s,
  has(s.cel) && s.cel.expression.matches('[\'"]rt[.]takt[.]dev[\'"]')))
|| (has(params.spec.config) && params.spec.config.exists(c,
  has(c.opaque) && c.opaque.driver == 'rt.takt.dev'))
{{- end }}

{{/* The variables with which a class (`params`) looks at a claim or a template. */}}
{{- define "takt.cel.claimVariables" -}}
- name: devices
  expression: "has(dyn(object).spec.spec) ? dyn(object).spec.spec.devices : dyn(object).spec.devices"
# Every request, and every alternative of one, that asks for a device of this class.
- name: asks
  expression: |-
    (has(variables.devices.requests) ? variables.devices.requests : []).transformList(i, r,
      has(r.exactly)
        ? [{'path': dyn('/spec/devices/requests/' + string(i) + '/exactly'), 'name': dyn(r.name),
            'parent': dyn(r.name), 'body': dyn(r.exactly)}]
        : has(r.firstAvailable)
        ? r.firstAvailable.transformList(j, s,
            {'path': dyn('/spec/devices/requests/' + string(i) + '/firstAvailable/' + string(j)),
             'name': dyn(r.name + '/' + s.name), 'parent': dyn(r.name), 'body': dyn(s)})
        : []).flatten().filter(a, a.body.deviceClassName == params.metadata.name)
- name: classConfigs
  expression: |-
    (has(params.spec.config) ? params.spec.config : [])
      .filter(c, has(c.opaque) && c.opaque.driver == 'rt.takt.dev')
      .map(c, {{ include "takt.cel" (list "inner" "c.opaque.parameters") }})
# With the parameters of each: those of the class, then the claim's own, which replace them field by
# field.
- name: merged
  expression: |-
    variables.asks.map(a, [variables.classConfigs
      + (has(variables.devices.config) ? variables.devices.config : [])
        .filter(c, has(c.opaque) && c.opaque.driver == 'rt.takt.dev'
          && (!has(c.requests) || size(c.requests) == 0 || a.name in c.requests || a.parent in c.requests))
        .map(c, {{ include "takt.cel" (list "inner" "c.opaque.parameters") }})
      ].map(all, {'path': a.path, 'name': a.name, 'body': a.body,
        'spec': dyn({{ include "takt.cel" (list "fields" .) }}
          .filter(f, all.exists(one, f in one))
          .transformMapEntry(i, f, {f: all.filter(one, f in one).map(one, one[f]).reverse()[0]}))})[0])
# With their durations in nanoseconds, as far as these can be read, and the number of cores.
- name: timed
  expression: |-
    variables.merged.map(m, {'path': m.path, 'name': m.name, 'body': m.body, 'spec': m.spec,
      'cores': dyn(!('cores' in m.spec) ? 1 : type(m.spec.cores) == int ? m.spec.cores : 0),
      'given': dyn(has(m.body.capacity) && has(m.body.capacity.requests)
        && 'bandwidth' in m.body.capacity.requests),
      'ns': dyn(['runtime', 'period', 'deadline']
        .filter(f, f in m.spec && {{ include "takt.cel" (list "isDuration" "m.spec[f]") }})
        .transformMapEntry(i, f, {f: {{ include "takt.cel" (list "ns" "m.spec[f]") }}}))})
# With the bandwidth that they need: runtime / period in millionths of a CPU, rounded up, times the
# cores; but of several devices (count), which are CPUs, each gives one core its part. 0 where that cannot be computed, which claims.rt.takt.dev refuses with the reason.
- name: counted
  expression: |-
    variables.timed.map(m, {'path': m.path, 'name': m.name, 'body': m.body, 'given': m.given,
      'needed': dyn('runtime' in m.ns && 'period' in m.ns && m.ns.runtime >= 1024 && m.ns.period >= 100000
          && m.ns.runtime <= m.ns.period && m.cores >= 1 && m.cores <= 256
        ? (has(m.body.count) && m.body.count > 1 ? 1 : m.cores) * ((m.ns.runtime * 1000000 + m.ns.period - 1) / m.ns.period) : 0)})
{{- end }}
