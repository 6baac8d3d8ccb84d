"""What pyproject.toml cannot say: a wheel carries the published weights and results."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent

#: What is published, by the folder of the package in which `ikpaper.files.published` finds it. All
#: in one wheel: 52 MB are below PyPI's limit of 100 MB, and no second one can be missing or old.
PUBLISHED = {"weights/paper": "weights/paper/*", "results": "book/results/*.csv"}


class BuildWithPublished(build_py):
    """Copies what is published into the package that is built; a checkout has it already."""

    def run(self) -> None:
        """Build the package, from nothing: what an earlier build left may be gone by now."""
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib) / "ikpaper", ignore_errors=True)
        super().run()
        if not self.editable_mode:
            for source, target in self._published().items():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Files that the build makes."""
        published = [] if self.editable_mode else map(str, self._published().values())
        return [*super().get_outputs(include_bytecode), *published]

    def _published(self) -> dict[Path, Path]:
        package = Path(self.build_lib) / "ikpaper" / "_published"
        return {
            source: package / folder / source.name
            for folder, pattern in PUBLISHED.items()
            for source in sorted(ROOT.glob(pattern))
            if source.suffix in (".csv", ".json", ".safetensors")
        }


setup(cmdclass={"build_py": BuildWithPublished})
