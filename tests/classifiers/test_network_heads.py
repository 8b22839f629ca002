import pytest
import torch

from ppgssl.classifiers.network_heads import HEADS, AttentionHead, MeanHead


def trained(head):
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    return head


@pytest.mark.parametrize("name", HEADS)
@torch.no_grad()
def test_an_untrained_head_does_not_guess(name):
    head = HEADS[name](5)
    torch.testing.assert_close(head(torch.randn(3, head.bag_size, 5)), torch.zeros(3))
    assert float(head.risk(torch.randn(7, 5))) == 0.5


@torch.no_grad()
def test_attention_is_the_papers_formula():
    head, bags = trained(AttentionHead(5)), torch.randn(2, 6, 5)
    for bag, weights, logit in zip(bags, head.weights(bags), head(bags), strict=True):
        raw = [
            head.score.weight[0] @ (torch.tanh(head.content(h)) * torch.sigmoid(head.gate(h))) + head.score.bias[0]
            for h in bag
        ]
        proportions = torch.stack(raw).exp() / torch.stack(raw).exp().sum()
        torch.testing.assert_close(weights, proportions)
        pooled = sum(proportion * h for proportion, h in zip(proportions, bag, strict=True))
        torch.testing.assert_close(logit, head.linear(pooled)[0])


@torch.no_grad()
def test_the_order_of_segments_does_not_matter_and_more_of_the_same_change_nothing():
    for head in (trained(AttentionHead(5)), trained(MeanHead(5))):
        own = torch.randn(6, 5)
        torch.testing.assert_close(head.risk(own), head.risk(own.flip(0)))
        torch.testing.assert_close(head.risk(own), head.risk(torch.cat([own, own])))


@torch.no_grad()
def test_the_mean_head_averages_risks_not_log_odds():
    head, own = trained(MeanHead(5)), torch.randn(6, 5)
    torch.testing.assert_close(head.risk(own), torch.sigmoid(head(own.unsqueeze(1))).mean())
