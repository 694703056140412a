package batch

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
)

// A timetable is a CronJob whose Jobs last a given time.
type timetable struct {
	t         *testing.T
	spec      CronSpec
	state     CronState
	jobs      map[string]*OwnedJob
	suspended bool
	now       time.Time
	last      CronDecision
	made      []string // times of the schedule of the Jobs
}

func newTimetable(t *testing.T, schedule string, change func(*batchv1.CronJobSpec)) *timetable {
	s := batchv1.CronJobSpec{Schedule: schedule}
	if change != nil {
		change(&s)
	}
	return &timetable{t: t, spec: FromCronJob(&s), state: CronState{Since: start}, jobs: map[string]*OwnedJob{}, now: start}
}

func (c *timetable) step() {
	c.t.Helper()
	var jobs []OwnedJob
	for _, j := range c.jobs {
		jobs = append(jobs, *j)
	}
	var err error
	c.state, c.last, err = NextJobs("tick", c.spec, c.state, jobs, c.suspended, c.now)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, name := range c.last.Delete {
		c.jobs[name].Deleting = true
	}
	if name := c.last.Create; name != "" {
		if c.jobs[name] != nil {
			c.t.Fatalf("job %s was made twice", name)
		}
		c.jobs[name] = &OwnedJob{Name: name, Phase: Running, Began: c.now}
		c.made = append(c.made, c.last.Scheduled.Format("15:04"))
	}
}

// gone removes what was deleted.
func (c *timetable) gone() {
	for name, j := range c.jobs {
		if j.Deleting {
			delete(c.jobs, name)
		}
	}
}

// at sets the time, "12:05", and makes a decision.
func (c *timetable) at(clock string) {
	c.t.Helper()
	t, err := time.Parse("15:04", clock)
	if err != nil {
		c.t.Fatal(err)
	}
	c.now = time.Date(2026, 11, 30, t.Hour(), t.Minute(), 0, 0, c.now.Location())
	c.step()
}

func (c *timetable) end(phase Phase) {
	for _, j := range c.jobs {
		if !j.Phase.Ended() {
			j.Phase, j.Ended = phase, c.now
		}
	}
}

func (c *timetable) want(times ...string) {
	c.t.Helper()
	if diff := cmp.Diff(c.made, times); diff != "" {
		c.t.Errorf("-got +want\n%s", diff)
	}
}

func TestCronJobRunsWhenItsTimeComes(t *testing.T) {
	c := newTimetable(t, "*/10 * * * *", nil)
	c.step()
	if !c.last.Wake.Equal(start.Add(10*time.Minute)) || c.last.Create != "" {
		t.Errorf("got %+v", c.last)
	}
	c.at("12:10")
	if want := fmt.Sprintf("tick-%d", c.now.Unix()/60); c.last.Create != want || !c.last.Scheduled.Equal(c.now) || reasons(c.last.Events) != "SuccessfulCreate" {
		t.Errorf("got %+v, want %s", c.last, want)
	}
	c.step() // nothing is made twice
	c.end(Complete)
	c.at("12:11")
	if reasons(c.last.Events) != "SawCompletedJob" || !c.state.LastSuccessful.Equal(start.Add(10*time.Minute)) {
		t.Errorf("got %+v, %+v", c.last.Events, c.state)
	}
	c.at("12:21")
	c.want("12:10", "12:20")
}

func TestCronJobMakesUpForOneMissedTime(t *testing.T) {
	c := newTimetable(t, "*/10 * * * *", nil)
	c.at("13:45")
	c.at("13:46")
	c.want("13:40")
	if len(c.last.Events) > 0 {
		t.Errorf("got %+v", c.last.Events)
	}

	many := newTimetable(t, "* * * * *", nil)
	many.at("14:30")
	if got := reasons(many.last.Events); got != "TooManyMissedTimes SuccessfulCreate" {
		t.Errorf("got %s", got)
	}
	many.want("14:30")

	late := newTimetable(t, "0 * * * *", func(s *batchv1.CronJobSpec) { n := int64(60); s.StartingDeadlineSeconds = &n })
	late.at("13:05")
	late.at("13:06")
	late.want()
	late.at("14:01")
	late.want("14:00")

	missed := newTimetable(t, "0 * * * *", late.withDeadline(60))
	missed.at("13:02")
	if got := reasons(missed.last.Events); got != "MissSchedule" {
		t.Errorf("got %s", got)
	}
	missed.step()
	if len(missed.last.Events) > 0 {
		t.Errorf("the event is repeated: %+v", missed.last.Events)
	}
}

// TestCronJobMakesUpForTheLatestOfAnUnevenSchedule checks a schedule whose times are
// close together by day and far apart at night.
func TestCronJobMakesUpForTheLatestOfAnUnevenSchedule(t *testing.T) {
	c := newTimetable(t, "*/5 8-17 * * *", nil)
	for _, clock := range []string{"07:00", "22:00", "22:01", "22:30"} {
		c.at(clock)
		if wake := c.last.Wake; !wake.After(c.now) {
			t.Errorf("at %s it wakes at %s", clock, wake)
		}
	}
	c.want("17:55")
}

func (c *timetable) withDeadline(seconds int64) func(*batchv1.CronJobSpec) {
	return func(s *batchv1.CronJobSpec) { s.StartingDeadlineSeconds = &seconds }
}

func TestConcurrencyPolicies(t *testing.T) {
	policy := func(p batchv1.ConcurrencyPolicy) func(*batchv1.CronJobSpec) {
		return func(s *batchv1.CronJobSpec) { s.ConcurrencyPolicy = p }
	}
	allow := newTimetable(t, "*/10 * * * *", nil)
	allow.at("12:10")
	allow.at("12:20")
	allow.want("12:10", "12:20")

	forbid := newTimetable(t, "*/10 * * * *", policy(batchv1.ForbidConcurrent))
	forbid.at("12:10")
	forbid.at("12:20")
	if got := reasons(forbid.last.Events); got != "JobAlreadyActive" {
		t.Errorf("got %s", got)
	}
	forbid.step()
	if len(forbid.last.Events) > 0 {
		t.Errorf("the event is repeated: %+v", forbid.last.Events)
	}
	forbid.end(Failed)
	forbid.at("12:25") // what was missed is made up for
	forbid.want("12:10", "12:20")

	replace := newTimetable(t, "*/10 * * * *", policy(batchv1.ReplaceConcurrent))
	replace.at("12:10")
	replace.at("12:20")
	if len(replace.last.Delete) != 1 || replace.last.Create != "" {
		t.Errorf("got %+v: want that the first Job is deleted, and no other is made until it is gone", replace.last)
	}
	replace.step()
	replace.gone()
	replace.step()
	replace.want("12:10", "12:20")
}

func TestCronJobKeepsTheLatestJobs(t *testing.T) {
	c := newTimetable(t, "* * * * *", nil)
	for n := range 20 {
		c.at(fmt.Sprintf("12:%02d", n+1))
		c.end([]Phase{Complete, Failed}[n%2])
		c.step()
		c.gone()
	}
	var kept []string
	for name, j := range c.jobs {
		kept = append(kept, fmt.Sprintf("%s %s", strings.TrimPrefix(name, "tick-"), j.Phase))
	}
	slices.Sort(kept)
	minute := start.Unix() / 60
	want := []string{
		fmt.Sprintf("%d Complete", minute+15), fmt.Sprintf("%d Complete", minute+17), fmt.Sprintf("%d Complete", minute+19), fmt.Sprintf("%d Failed", minute+20),
	}
	if diff := cmp.Diff(kept, want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestSuspendedCronJob(t *testing.T) {
	c := newTimetable(t, "*/10 * * * *", nil)
	c.suspended = true
	c.at("12:10")
	c.want()
	c.suspended = false
	c.at("12:15") // as in Kubernetes
	c.want("12:10")
}

func TestClockChanges(t *testing.T) {
	c := newTimetable(t, "*/10 * * * *", nil)
	c.at("12:10")
	c.end(Complete)
	c.at("12:09") // set back a little: no time comes twice
	c.at("12:11")
	c.want("12:10")
	c.at("18:00") // it was wrong by hours
	c.end(Complete)
	c.at("12:20")
	c.at("12:30")
	c.want("12:10", "18:00", "12:30")
}

func TestSchedules(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		schedule, zone string
		now, want      time.Time
	}{
		{"30 3 * * *", "", start.In(berlin), time.Date(2026, 12, 1, 3, 30, 0, 0, berlin)},
		{"30 3 * * *", "Asia/Tokyo", start, time.Date(2026, 11, 30, 18, 30, 0, 0, time.UTC)},
		{"@hourly", "Europe/Berlin", start, start.Add(time.Hour)},
		{"@every 90m", "", start, start.Add(90 * time.Minute)},
		// 02:30 does not exist on that day.
		{"30 2 * * *", "Europe/Berlin", time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC), time.Date(2026, 3, 30, 0, 30, 0, 0, time.UTC)},
		{"0 0 30 2 *", "", start, time.Time{}},
	} {
		_, d, err := NextJobs("x", CronSpec{Schedule: test.schedule, TimeZone: test.zone}, CronState{Since: test.now}, nil, false, test.now)
		if err != nil || !d.Wake.Equal(test.want) {
			t.Errorf("%s %s: next at %s, %v: want %s", test.schedule, test.zone, d.Wake, err, test.want)
		}
	}
}

// TestCronJobsKeepTheirPromises runs CronJobs on a machine that is down at random and
// whose Jobs last for random times.
func TestCronJobsKeepTheirPromises(t *testing.T) {
	for seed := range 500 {
		r := rand.New(rand.NewSource(int64(seed)))
		policies := []batchv1.ConcurrencyPolicy{batchv1.AllowConcurrent, batchv1.ForbidConcurrent, batchv1.ReplaceConcurrent}
		c := newTimetable(t, []string{"* * * * *", "*/7 * * * *", "@every 5m", "5,6,50 * * * *"}[r.Intn(4)], func(s *batchv1.CronJobSpec) {
			s.ConcurrencyPolicy = policies[r.Intn(3)]
		})
		for range 100 {
			c.now = c.now.Add(time.Duration(r.Intn(400)) * time.Second)
			if r.Intn(20) == 0 {
				c.now = c.now.Add(time.Duration(r.Intn(40)) * time.Hour)
			}
			for _, j := range c.jobs {
				if !j.Phase.Ended() && r.Intn(3) == 0 {
					j.Phase, j.Ended = []Phase{Complete, Failed}[r.Intn(2)], c.now
				}
			}
			before := c.state
			c.step()
			if c.last.Create != "" && (!c.last.Scheduled.After(before.LastScheduled) || c.last.Scheduled.After(c.now)) {
				t.Fatalf("seed %d: a Job of %s was made at %s, after that of %s", seed, c.last.Scheduled, c.now, before.LastScheduled)
			}
			active, ended := 0, 0
			for _, j := range c.jobs {
				if !j.Phase.Ended() {
					active++
				} else if !j.Deleting {
					ended++
				}
			}
			if active > 1 && c.spec.Concurrency != batchv1.AllowConcurrent || ended > c.spec.KeepDone+c.spec.KeepFailed {
				t.Fatalf("seed %d: %d Jobs run and %d are kept with policy %s", seed, active, ended, c.spec.Concurrency)
			}
			if r.Intn(2) == 0 {
				c.gone()
			}
		}
		// Once the Jobs end in time, each time of the schedule has one.
		for range 3 {
			for range 3 {
				c.end(Complete)
				c.step()
				c.gone()
			}
			c.now = c.last.Wake
			c.step()
			if c.last.Create == "" || !c.last.Scheduled.Equal(c.now) {
				t.Fatalf("seed %d: at %s no Job was made: %+v", seed, c.now, c.last)
			}
		}
	}
}
