# What nginx of Debian 12 writes, as adamant learn examples/nginx-unsealed.yaml
# --exercise-http / recorded it. Fields are described in docs/design.md.
apiVersion: adamant.sh/v1
kind: Profile
name: Pod/nginx-pod
runs: 1
containers:
  - name: nginx-container
    image: nginx:latest
    digest: sha256:47947c714dd653e02614922c6635f7dd7523b7dd28abecdc682e6c6a8485c226
    method: ptrace
    writes:
      - path: /run/nginx.pid
        ops: {create: 1, unlink: 1}
        by: [/usr/sbin/nginx]
        bytes: 2
      - path: /var/lib/nginx/body
        ops: {chown: 1, mkdir: 1}
        by: [/usr/sbin/nginx]
        made:
          mode: 0700
          uid: 33
          gid: 0
      - path: /var/lib/nginx/fastcgi
        ops: {chown: 1, mkdir: 1}
        by: [/usr/sbin/nginx]
        made:
          mode: 0700
          uid: 33
          gid: 0
      - path: /var/lib/nginx/proxy
        ops: {chown: 1, mkdir: 1}
        by: [/usr/sbin/nginx]
        made:
          mode: 0700
          uid: 33
          gid: 0
      - path: /var/lib/nginx/scgi
        ops: {chown: 1, mkdir: 1}
        by: [/usr/sbin/nginx]
        made:
          mode: 0700
          uid: 33
          gid: 0
      - path: /var/lib/nginx/uwsgi
        ops: {chown: 1, mkdir: 1}
        by: [/usr/sbin/nginx]
        made:
          mode: 0700
          uid: 33
          gid: 0
      - path: /var/log/nginx/access.log
        ops: {write: 1}
        by: [/usr/sbin/nginx]
        bytes: 3297
      - path: /var/log/nginx/error.log
        ops: {write: 1}
        by: [/usr/sbin/nginx]
    volumes:
      - mountPath: /run
        copyUp: true
        why:
          - create, unlink /run/nginx.pid by nginx
      - mountPath: /var/lib/nginx
        why:
          - chown, mkdir /var/lib/nginx/body by nginx
          - chown, mkdir /var/lib/nginx/fastcgi by nginx
          - chown, mkdir /var/lib/nginx/proxy by nginx
      - mountPath: /var/log/nginx
        copyUp: true
        mode: 0755
        gid: 4
        why:
          - write /var/log/nginx/access.log by nginx
          - write /var/log/nginx/error.log by nginx
