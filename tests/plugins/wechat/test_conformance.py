"""The conformance kit, unchanged, for API v3 in its three situations and for API v2 with both kinds of signature and
with a certificate."""

from __future__ import annotations

from app.providers.testing.conformance import ProviderConformance
from tests.plugins.wechat.worlds import MigratingWorld, PublicKeyWorld, V2Md5World, V2RefundingWorld, V2World, V3World


class TestV3WithCertificates(ProviderConformance):
    world_class = V3World


class TestV3WithThePublicKey(ProviderConformance):
    world_class = PublicKeyWorld


class TestV3WhileMigrating(ProviderConformance):
    world_class = MigratingWorld


class TestV2WithHmac(ProviderConformance):
    world_class = V2World


class TestV2WithMd5(ProviderConformance):
    world_class = V2Md5World


class TestV2WithACertificate(ProviderConformance):
    world_class = V2RefundingWorld
