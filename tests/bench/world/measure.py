"""Times, processor time and memory, and how they are told."""
import json, os, pathlib, resource, statistics, subprocess, sys, tempfile, time
from typing import NamedTuple

LAUNCH = os.path.join(os.path.dirname(__file__), "launch.py")


class Used(NamedTuple):
    """What something took. Of what the benchmark does itself the memory says nothing."""
    seconds: float
    cpu: float
    peak_bytes: int | None = None
    said: bytes = b""

    def told(self):
        """For JSON."""
        told = {"seconds": round(self.seconds, 3), "client_cpu_seconds": round(self.cpu, 3)}
        return told | ({"peak_mib": round(self.peak_bytes / 2**20, 1)} if self.peak_bytes else {})


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(command, environment=None, codes=(0,), folder=None):
    """What a command takes that must end with one of these codes."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        done = subprocess.run([sys.executable, "-S", "-E", LAUNCH, report.name, *command], env=environment, cwd=folder,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode not in codes:
            sys.exit(f"{command[0]} ended with {done.returncode}:\n{(done.stdout[-1000:] + done.stderr[-3000:]).decode(errors='replace')}")
        return Used(**json.load(report), said=done.stdout)


def timed(command, environment, codes):
    """Seconds, seconds of processor time, and what was said, of a command that must end with one of these."""
    used = run(command, environment, codes)
    return used.seconds, used.cpu, used.said


def measured(work):
    """What something takes that the benchmark does itself."""
    before, began = processor_time(), time.monotonic()
    work()
    return Used(time.monotonic() - began, processor_time() - before)


def processor_time(who=resource.RUSAGE_SELF):
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def size_of(folder):
    return sum(os.path.getsize(os.path.join(at, file)) for at, _, files in os.walk(folder) for file in files)


def report(times, count, octets, options):
    """The medians of what each kind of work took ([`Used`]), beside the kind `floor`."""
    median = {kind: statistics.median(used.seconds for used in all_) for kind, all_ in times.items()}
    base = median.get("floor")
    print("| what | seconds | MB/s | × floor | client's processor time, s |\n|---|---|---|---|---|")
    for kind, seconds in median.items():
        cpu = statistics.median(used.cpu for used in times[kind])
        ratio = f"{seconds / base:.2f}" if base else "–"
        print(f"| {kind} | {seconds:.2f} | {octets / 1e6 / seconds:.0f} | {ratio} | {cpu:.2f} |")
    if options.json:
        document = {"messages": count, "octets": octets, "times": {kind: [used.told() for used in all_] for kind, all_ in times.items()},
                    "median_seconds": median, "ratio_to_floor": {k: round(v / base, 3) for k, v in median.items()} if base else None}
        pathlib.Path(options.json).write_text(json.dumps(document, indent=1) + "\n")
