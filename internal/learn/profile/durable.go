package profile

import (
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// Use is what tells, besides its writes, which data of a container should
// outlive its pod.
type Use struct {
	Volumes  []string // paths that the image declares as VOLUME
	Stateful bool     // the workload is a StatefulSet
}

// MarkDurable returns the container with Durable set for each volume whose data
// should outlive the pod: files of a database that stay in it, a path where a
// server is known to keep its data, a VOLUME of the image, or any file that stays
// if the workload is a StatefulSet. Temporary files, caches, logs and
// configuration do not count.
func MarkDurable(c Container, u Use) Container {
	c.Volumes = slices.Clone(c.Volumes)
	for i := range c.Volumes {
		c.Volumes[i].Durable = u.durable(c.Volumes[i], c.Writes)
	}
	return c
}

// durable returns why the data in a volume should outlive the pod, or "".
func (u Use) durable(v Volume, writes []Write) string {
	var kept []string // paths in the volume
	all := map[string]bool{}
	for _, w := range writes {
		all[w.Path] = true
		if within(w.Path, v.MountPath) && stays(w) && !mayBeLost(w.Path) {
			kept = append(kept, w.Path)
		}
	}
	if v.File || len(kept) == 0 {
		return ""
	}
	for _, p := range kept {
		if db := databaseOf(p, all); db != "" {
			return db + " keeps its data here: " + p
		}
	}
	for _, p := range kept {
		for _, home := range homes {
			if within(p, home.dir) {
				return home.owner + " keeps its data here"
			}
		}
	}
	for _, dir := range u.Volumes {
		if slices.ContainsFunc(kept, func(p string) bool { return within(p, path.Clean(dir)) }) {
			return "the image declares VOLUME " + dir
		}
	}
	if u.Stateful && !isFixed(v.MountPath) {
		return "a StatefulSet keeps files here: " + kept[0]
	}
	return ""
}

// stays reports whether a write leaves a file behind: it was not removed again,
// as are temporary files, sockets and the files with process numbers.
func stays(w Write) bool {
	if w.Ops[trace.Unlink] > 0 {
		return false
	}
	for _, op := range []trace.Op{trace.Create, trace.Write, trace.Truncate, trace.Rename, trace.Link} {
		if w.Ops[op] > 0 {
			return true
		}
	}
	return false
}

// mayBeLost reports whether a path is by convention one of temporary files, of a
// cache, of logs or of configuration.
func mayBeLost(name string) bool {
	return isRuntime(name) || within(name, "/var/cache") || within(name, "/var/log") || within(name, "/etc") ||
		slices.Contains(strings.Split(name, "/"), ".cache") || path.Ext(name) == ".pid"
}

// homes are the directories where databases and other servers keep their data by
// default.
var homes = []struct{ dir, owner string }{
	{"/bitnami", "an image of Bitnami"},
	{"/consul/data", "Consul"},
	{"/data/db", "MongoDB"},
	{"/opt/couchdb/data", "CouchDB"},
	{"/prometheus", "Prometheus"},
	{"/usr/share/elasticsearch/data", "Elasticsearch"},
	{"/usr/share/opensearch/data", "OpenSearch"},
	{"/var/jenkins_home", "Jenkins"},
	{"/var/lib/cassandra", "Cassandra"},
	{"/var/lib/clickhouse", "ClickHouse"},
	{"/var/lib/couchdb", "CouchDB"},
	{"/var/lib/elasticsearch", "Elasticsearch"},
	{"/var/lib/etcd", "etcd"},
	{"/var/lib/gitea", "Gitea"},
	{"/var/lib/grafana", "Grafana"},
	{"/var/lib/influxdb", "InfluxDB"},
	{"/var/lib/kafka", "Kafka"},
	{"/var/lib/ldap", "OpenLDAP"},
	{"/var/lib/mongodb", "MongoDB"},
	{"/var/lib/mosquitto", "Mosquitto"},
	{"/var/lib/mysql", "MySQL or MariaDB"},
	{"/var/lib/neo4j", "Neo4j"},
	{"/var/lib/postgresql", "PostgreSQL"},
	{"/var/lib/prometheus", "Prometheus"},
	{"/var/lib/rabbitmq", "RabbitMQ"},
	{"/var/lib/redis", "Redis"},
	{"/var/lib/zookeeper", "ZooKeeper"},
	{"/vault/file", "Vault"},
}

// databases are the names of files that only one database writes. A "*" stands
// for any text, as in path.Match.
var databases = []struct{ name, owner string }{
	{"PG_VERSION", "PostgreSQL"}, {"pg_control", "PostgreSQL"}, {"postgresql.auto.conf", "PostgreSQL"},
	{"ibdata*", "MySQL or MariaDB"}, {"ib_logfile*", "MySQL or MariaDB"}, {"*.ibd", "MySQL or MariaDB"}, {"aria_log_control", "MySQL or MariaDB"},
	{"WiredTiger", "MongoDB"}, {"WiredTiger.wt", "MongoDB"},
	{"dump.rdb", "Redis"}, {"appendonly.aof*", "Redis"},
	{"data.mdb", "LMDB"}, {"*.sqlite", "SQLite"}, {"*.sqlite3", "SQLite"}, {"*.db3", "SQLite"},
	{"mosquitto.db", "Mosquitto"}, {"*.leveldb", "LevelDB"}, {"OPTIONS-*", "RocksDB"},
}

// databaseOf returns the name of the database that writes a file, or "". all are
// the paths that were written.
func databaseOf(name string, all map[string]bool) string {
	base := path.Base(name)
	for _, d := range databases {
		if ok, _ := path.Match(d.name, base); ok {
			return d.owner
		}
	}
	// SQLite adds one of these to the name of any file.
	if all[name+"-wal"] || all[name+"-journal"] {
		return "SQLite"
	}
	parts := strings.Split(path.Dir(name), "/")
	switch {
	case slices.Contains(parts, "pg_wal"):
		return "PostgreSQL"
	case slices.Contains(parts, "mnesia"):
		return "Mnesia"
	case slices.Contains(parts, "wal") || path.Ext(base) == ".wal":
		return "a database with a write-ahead log"
	}
	return ""
}
