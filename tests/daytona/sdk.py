"""Drives an official Daytona SDK against the server named by DAYTONA_API_URL and DAYTONA_API_KEY, and ends with 1 when
anything is not as its documentation says. Needs the package `daytona`."""

import asyncio

from daytona import CreateSandboxFromSnapshotParams, Daytona, DaytonaError, FileUpload, SessionExecuteRequest


def check(what, found, expected):
    if found != expected:
        raise SystemExit(f"{what}: {found!r} instead of {expected!r}")
    print(f"  {what}")


def main():
    daytona = Daytona()
    sandbox = daytona.create(CreateSandboxFromSnapshotParams(language="python", labels={"check": "sdk"}))
    check("create", str(sandbox.state.value), "started")
    try:
        check("get", daytona.get(sandbox.id).id, sandbox.id)
        use(sandbox)
        lifecycle(daytona, sandbox)
    finally:
        daytona.delete(sandbox)
    print("  delete")


def use(sandbox):
    ran = sandbox.process.code_run("import sys; print(6 * 7)")
    check("code run", (ran.exit_code, ran.result), (0, "42\n"))
    ran = sandbox.process.exec("echo $X; pwd", cwd="/tmp", env={"X": "y z"})
    check("exec", (ran.exit_code, ran.result), (0, "y z\n/tmp\n"))
    try:
        sandbox.process.exec("sleep 30", timeout=1)
        raise SystemExit("exec with a timeout did not fail")
    except DaytonaError as error:
        check("exec with a timeout", error.status_code, 408)

    content = bytes(range(256)) * 100
    sandbox.fs.upload_file(content, "w/ä b.bin")
    sandbox.fs.upload_files([FileUpload(b"one", "w/1"), FileUpload(b"two", "w/2")])
    check("upload and list", sorted(file.name for file in sandbox.fs.list_files("w")), ["1", "2", "ä b.bin"])
    check("download", sandbox.fs.download_file("w/ä b.bin"), content)
    check("file info", sandbox.fs.get_file_info("w/1").size, 3)
    check("search", sandbox.fs.search_files(".", "*.bin").files[0].endswith("ä b.bin"), True)
    sandbox.fs.create_folder("w/sub", "755")
    sandbox.fs.move_files("w/1", "w/sub/1")
    sandbox.fs.set_file_permissions("w/sub/1", mode="600")
    sandbox.fs.delete_file("w/2")
    try:
        sandbox.fs.download_file("w/2")
        raise SystemExit("a deleted file was downloaded")
    except DaytonaError as error:
        print(f"  download of what is not there: {type(error).__name__}")
    session(sandbox)


def session(sandbox):
    process = sandbox.process
    process.create_session("s")
    process.execute_session_command("s", SessionExecuteRequest(command="cd /tmp"))
    ran = process.execute_session_command("s", SessionExecuteRequest(command="pwd; echo oops >&2"))
    check("session", (ran.exit_code, ran.stdout, ran.stderr), (0, "/tmp\n", "oops\n"))
    begun = process.execute_session_command("s", SessionExecuteRequest(command="echo out; echo err >&2", run_async=True))
    heard = {"out": "", "err": ""}

    def hear(stream):
        return lambda text: heard.__setitem__(stream, heard[stream] + text)

    followed = process.get_session_command_logs_async("s", begun.cmd_id, hear("out"), hear("err"))
    asyncio.run(asyncio.wait_for(followed, 30))
    check("session followed", heard, {"out": "out\n", "err": "err\n"})
    logs = process.get_session_command_logs("s", begun.cmd_id)
    check("session logs", (logs.stdout, logs.stderr), ("out\n", "err\n"))
    check("session command", process.get_session_command("s", begun.cmd_id).exit_code, 0)
    process.delete_session("s")


def lifecycle(daytona, sandbox):
    sandbox.set_labels({"check": "again"})
    sandbox.set_autostop_interval(30)
    sandbox.stop()
    check("stop", str(daytona.get(sandbox.id).state.value), "stopped")
    sandbox.start()
    check("start", sandbox.process.exec("cat w/sub/1").result, "one")
    check("preview link", sandbox.get_preview_link(3000).url.startswith("http"), True)


main()
