"""PyTorch with products in bfloat16, 8 bits of each weight, and sampling in float32."""
import torch

import peer_torch

VERSION = peer_torch.VERSION + " bfloat16"


class Sweeps(peer_torch.Sweeps):
    def __init__(self, p):
        super().__init__(p)
        self.w, self.wt = self.w.bfloat16(), self.wt.bfloat16()

    def start(self):
        self.v = peer_torch.coins(self.p.chains, self.p.visible).bfloat16()

    def visible(self):
        return self.v.float().numpy()

    def sweep(self):
        x = (self.v @ self.w).float() + self.c
        h = (torch.rand_like(x) < torch.sigmoid(x)).bfloat16()
        x = (h @ self.wt).float() + self.b
        self.v = (torch.rand_like(x) < torch.sigmoid(x)).bfloat16()


TASKS = {"gibbs": Sweeps}
