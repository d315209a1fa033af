"""Every executor for model servers against the contract they share."""

from __future__ import annotations

from typing import Any

from agentrt.executors import ConnectedExecutor, OpenAIExecutor, SGLangExecutor, connect
from agentrt.testing.contract import ModelExecutorContract
from agentrt.testing.server import ScriptedServer


class TestOpenAI(ModelExecutorContract):
    def make(self, url: str, **options: Any) -> OpenAIExecutor:
        return OpenAIExecutor(url, **options)

    def serve(self, script: Any = None, **options: Any) -> ScriptedServer:
        return ScriptedServer(script, kind="openai", **options)


class TestSGLangChat(ModelExecutorContract):
    def make(self, url: str, **options: Any) -> SGLangExecutor:
        return SGLangExecutor(url, **options)


class TestSGLangNative(ModelExecutorContract):
    def make(self, url: str, **options: Any) -> SGLangExecutor:
        return SGLangExecutor(url, endpoint="native", **options)


class TestConnected(ModelExecutorContract):
    def make(self, url: str, **options: Any) -> ConnectedExecutor:
        return connect(url, **options)


class TestConnectedToAnyServer(TestConnected):
    def serve(self, script: Any = None, **options: Any) -> ScriptedServer:
        return ScriptedServer(script, kind="openai", **options)
