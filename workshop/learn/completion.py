"""`workshop completion bash|zsh`: a script for a shell, made from the command line's own words."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from workshop.labs import all_labs

BASH = """\
# eval "$(.venv/bin/workshop completion bash)"
_workshop() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} words
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{commands}"
    else
        case ${{COMP_WORDS[1]}} in
{cases}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o bashdefault -o default -F _workshop workshop"""
ZSH = """\
# eval "$(.venv/bin/workshop completion zsh)"
_workshop() {{
    if (( CURRENT == 2 )); then
        compadd -- {commands}
    else
        case $words[2] in
{cases}
        esac
        _files
    fi
}}
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}
compdef _workshop workshop"""
CASE = {"bash": '        {name}) words="{words}" ;;', "zsh": "        {name}) compadd -- {words} ;;"}


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """What the shell is to read."""
    commands = dict(_commands(parser))
    cases = [
        CASE[shell].format(name=name, words=" ".join(words)) for name, words in commands.items() if words
    ]
    template = {"bash": BASH, "zsh": ZSH}[shell]
    return template.format(commands=" ".join(commands), cases="\n".join(cases))


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, list[str]]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield name, list(_words(command))


def _words(command: argparse.ArgumentParser) -> Iterator[str]:
    """What may stand after a command: a lab's number, its options, and the words that they know."""
    for action in command._actions:
        yield from action.option_strings
        if action.dest == "lab" and not action.option_strings:
            yield from (str(lab.number) for lab in all_labs())
        yield from (str(one) for one in action.choices or ())
