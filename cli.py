"""Run the commands from a checkout: `python cli.py train ...`, as `python convnet.py ...` was."""

import sys

if __name__ == "__main__":
    try:
        from convnet_cfg.cli import main

        main(prog_name="cli.py")
    except ModuleNotFoundError as error:
        if str(error.name).startswith("convnet_cfg"):
            raise
        print(
            f"{error.name} is not installed: `make demo` or `pip install .` installs what is needed",
            file=sys.stderr,
        )
        sys.exit(2)
