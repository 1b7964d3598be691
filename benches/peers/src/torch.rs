//! PyTorch, in a process of its own that takes the time itself.

use bantam_benches::measure::{Row, Work};
use core::cell::RefCell;
use core::time::Duration;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::time::Instant;

/// The optimizers that both have.
pub const OPTIMIZERS: &[&str] = &[
    "sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "amsgrad", "adamw", "adamax",
    "nadam", "radam", "rprop", "asgd",
];

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/torch_peer.py");

/// PyTorch's threads wait for more work without giving up their cores (GNU OpenMP: 300,000 rounds, some milliseconds). Whoever is
/// next would have one core less.
const REST: Duration = Duration::from_millis(10);

/// The running process.
pub struct Torch {
    /// What it calls itself.
    pub version: String,
    process: Rc<RefCell<Process>>,
    threads: usize,
}

struct Process {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn answer(&mut self) -> Option<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        (!line.is_empty()).then(|| line.trim().to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Torch {
    /// Starts it, if this machine has it.
    pub fn start(threads: usize) -> Option<Torch> {
        let mut command = Command::new("python3");
        command.arg(PROGRAM).arg(threads.to_string());
        // Without PyTorch there is a stack trace, which nobody needs.
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let (commands, answers) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        let mut process = Process { child, commands, answers };
        let version = process.answer()?;
        Some(Torch { version, process: Rc::new(RefCell::new(process)), threads })
    }

    /// The row of a workload that `torch_peer.py` knows.
    pub fn row(&self, key: &str, work: Work) -> Row {
        let (process, key, several) = (Rc::clone(&self.process), key.to_string(), self.threads > 1);
        let sample = move |calls: usize| {
            let mut process = process.borrow_mut();
            writeln!(process.commands, "{key} {calls}").expect("PyTorch is still there");
            let seconds = process.answer().and_then(|line| line.parse().ok());
            if several {
                // Awake: a core that sleeps needs its time to come back.
                let answered = Instant::now();
                while answered.elapsed() < REST {
                    core::hint::spin_loop();
                }
            }
            Duration::from_secs_f64(seconds.unwrap_or_else(|| panic!("PyTorch failed at {key}")))
        };
        Row::timed("  PyTorch", work, sample).peer()
    }
}
