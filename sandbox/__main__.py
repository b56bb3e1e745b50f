"""`python -m sandbox serve …` and `python -m sandbox drill …`."""

from sandbox.cli import main

if __name__ == "__main__":
    main()
