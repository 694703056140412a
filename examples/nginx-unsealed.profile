# What nginx of Debian 12 writes, as adamant learn examples/nginx-unsealed.yaml
# --exercise-http / recorded it. Fields are described in docs/design.md.
apiVersion: adamant.sh/v1
kind: Profile
name: Pod/nginx-pod
verdict: proven
load:
  - GET /
  - HEAD /
  - POST / (1 MiB)
duration: 7.2s
runs: 1
containers:
  - name: nginx-container
    image: nginx:latest
    digest: sha256:d4542612625fa53974f5741edfc147ff65a09007fd18e4dde038b2d7a657fa3b
    method: ptrace
    user:
      uid: 0
      gid: 0
    copyTools: true
    writes:
      - path: /run/nginx.pid
        ops: {create: 3, unlink: 1}
        by: [/usr/sbin/nginx]
        seen: 1
        bytes: 2
      - path: /var/lib/nginx/body
        ops: {chown: 3, mkdir: 3}
        by: [/usr/sbin/nginx]
        seen: 1
        made:
          mode: 0700
          uid: 33
          gid: 0
      - path: /var/lib/nginx/fastcgi
        ops: {chown: 3, mkdir: 3}
        by: [/usr/sbin/nginx]
        seen: 1
        made:
          mode: 0700
          uid: 33
          gid: 0
      - path: /var/lib/nginx/proxy
        ops: {chown: 3, mkdir: 3}
        by: [/usr/sbin/nginx]
        seen: 1
        made:
          mode: 0700
          uid: 33
          gid: 0
      - path: /var/lib/nginx/scgi
        ops: {chown: 3, mkdir: 3}
        by: [/usr/sbin/nginx]
        seen: 1
        made:
          mode: 0700
          uid: 33
          gid: 0
      - path: /var/lib/nginx/uwsgi
        ops: {chown: 3, mkdir: 3}
        by: [/usr/sbin/nginx]
        seen: 1
        made:
          mode: 0700
          uid: 33
          gid: 0
      - path: /var/log/nginx/access.log
        ops: {write: 3}
        by: [/usr/sbin/nginx]
        seen: 1
        bytes: 374844
      - path: /var/log/nginx/error.log
        ops: {write: 3}
        by: [/usr/sbin/nginx]
        seen: 1
    volumes:
      - mountPath: /run
        copyUp: true
        used: 16384
        why:
          - create, unlink /run/nginx.pid by nginx
      - mountPath: /var/lib/nginx
        used: 24576
        why:
          - chown, mkdir /var/lib/nginx/body by nginx
          - chown, mkdir /var/lib/nginx/fastcgi by nginx
          - chown, mkdir /var/lib/nginx/proxy by nginx
      - mountPath: /var/log/nginx
        copyUp: true
        mode: 0755
        gid: 4
        keepOwners: true
        used: 417792
        why:
          - write /var/log/nginx/access.log by nginx
          - write /var/log/nginx/error.log by nginx
