"""Run the commands from a checkout: `python cli.py train ...`, as `python convnet.py ...` was."""

from convnet_cfg.cli import main

if __name__ == "__main__":
    main(prog_name="cli.py")
