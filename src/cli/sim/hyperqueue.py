# Submits the shards of a sweep to HyperQueue and waits for them:
# python3 -c THIS FOLDER SHARDS CORES COMMAND...
import os
import sys

folder, shards, cores, command = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
try:
    from hyperqueue import Client, Job
    from hyperqueue.ffi.protocol import ResourceRequest
except ImportError as error:
    sys.exit(f"python3 has no package `hyperqueue`: {error}")

job = Job(name="dunlin-sweep", max_fails=None)
for shard in range(shards):
    log = os.path.join(folder, f"{shard}.log")
    # HyperQueue adds HQ_TASK_ID, which counts from 0.
    job.program(
        command,
        env={"DUNLIN_SHARDS": str(shards)},
        cwd=folder,
        stdout=os.path.join(folder, f"{shard}.out"),
        stderr=log,
        resources=ResourceRequest(cpus=cores),
    )
try:
    client = Client(os.environ.get("HQ_SERVER_DIR"))
    submitted = client.submit(job)
except BaseException as error:  # The client panics where there is no server.
    sys.exit(f"no HyperQueue server could be asked: {str(error).splitlines()[0]}")
print(submitted.id, flush=True)
client.wait_for_jobs([submitted], raise_on_error=False)
client.forget(submitted)
