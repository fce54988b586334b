//! The repository of the demo: a small Python package, and a pull request with two mistakes in it.

use crate::standin::github::Node;

/// Where it is.
pub const REPOSITORY: &str = "acme/rocket";

/// The file that a fix changes.
pub const FUEL: &str = "rocket/fuel.py";

/// The file that a pull request adds.
pub const GAUGE: &str = "rocket/gauge.py";

/// What is on the default branch.
pub fn files() -> Vec<(&'static str, Node)> {
    [
        (".github/threadbox.toml", "[sandbox]\ntest = \"python3 -m unittest -q\"\n"),
        ("README.md", "# Rocket\n\nFuel, and how long it lasts.\n"),
        ("rocket/__init__.py", ""),
        (FUEL, "def burn_time(fuel, rate):\n    \"\"\"Seconds until the tank is empty.\"\"\"\n    return fuel // rate\n"),
        ("tests/__init__.py", ""),
        (
            "tests/test_fuel.py",
            "import unittest\n\nfrom rocket.fuel import burn_time\n\n\nclass BurnTime(unittest.TestCase):\n    def test_whole_seconds(self):\n        self.assertEqual(burn_time(100, 4), 25)\n",
        ),
    ]
    .map(|(path, content)| (path, Node::from(content)))
    .to_vec()
}

/// What the pull request adds: the comparison is the wrong way round, and the label cannot be made.
pub fn gauge() -> Vec<(&'static str, Option<Node>)> {
    let gauge = "\
\"\"\"How full the tank is.\"\"\"


def percent(fuel, capacity):
    return fuel / capacity * 100


def warning(fuel, capacity, limit=10):
    if percent(fuel, capacity) > limit:
        return \"low fuel\"
    return None


def label(fuel, capacity):
    return \"%d %\" % percent(fuel, capacity)
";
    let test = "\
import unittest

from rocket.gauge import percent


class Percent(unittest.TestCase):
    def test_a_quarter(self):
        self.assertEqual(percent(30, 120), 25)
";
    vec![(GAUGE, Some(Node::from(gauge))), ("tests/test_gauge.py", Some(Node::from(test)))]
}
