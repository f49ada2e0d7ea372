"""Runs a command and writes down what it took: `launch.py FILE COMMAND...`.

A process inherits the peak memory of the one that it was forked from. A benchmark may hold a mailbox in
memory; this holds nothing, so it stands between.
"""
import json, os, sys, time


def main():
    report, *command = sys.argv[1:]
    began = time.monotonic()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(child, 0)
    seconds = time.monotonic() - began
    with open(report, "w", encoding="ascii") as file:
        json.dump({"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak_bytes": used.ru_maxrss * 1024}, file)
    sys.exit(os.waitstatus_to_exitcode(status) % 256)


if __name__ == "__main__":
    main()
