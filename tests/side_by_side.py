"""For tests across ranks: a function of this or another file in two processes that find each other by gloo."""

import os
import traceback

import torch
import torch.distributed as dist
import torch.multiprocessing as processes


def _member(rank, ranks, file, work, given, answers):
    torch.set_num_threads(1)
    os.environ |= {"LOCAL_WORLD_SIZE": str(ranks)}
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=ranks)
    try:
        torch.save(work(*given), f"{answers}/{rank}.pt")
    except Exception as error:
        torch.save(f"{error}\n{traceback.format_exc()}", f"{answers}/{rank}.failed")
    dist.barrier()
    dist.destroy_process_group()


def on_ranks(folder, work, *given, ranks=2):
    """What `work(*given)` gives on each rank: trees of tensors. `work` stands at the top of a file."""
    processes.spawn(_member, (ranks, folder / "meet", work, given, folder), nprocs=ranks)
    for failed in folder.glob("*.failed"):
        raise AssertionError(torch.load(failed))
    return [torch.load(folder / f"{rank}.pt") for rank in range(ranks)]
