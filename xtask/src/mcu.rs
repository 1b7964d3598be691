//! `cargo xtask mcu`: builds the firmware for every machine, runs it in an emulator, and holds one table against
//! itself: every machine must end with the same bits.

use crate::route::Route;
use crate::stages::{Outcome, Stages};
use crate::workspace::Workspace;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An emulated board, or another place where the programs run.
struct Machine {
    /// What it is called in the table.
    name: &'static str,
    /// The compiler's target; empty for this computer.
    target: &'static str,
    /// `-C target-cpu`, if it is not the target's.
    cpu: Option<&'static str>,
    /// The emulator and its machine.
    emulator: &'static str,
    board: &'static str,
    /// Where flash and RAM begin, and their sizes in KiB.
    flash: (u32, u32),
    ram: (u32, u32),
    /// Whether a normal test run uses it.
    short: bool,
}

const ARM: &str = "qemu-system-arm";

#[rustfmt::skip]
const MACHINES: [Machine; 11] = [
    Machine { name: "host", target: "", cpu: None, emulator: "", board: "", flash: (0, 0), ram: (0, 0), short: true },
    Machine { name: "Cortex-M0 (microbit)", target: "thumbv6m-none-eabi", cpu: None, emulator: ARM, board: "microbit", flash: (0, 256), ram: (0x2000_0000, 16), short: true },
    Machine { name: "Cortex-M3 (mps2-an385)", target: "thumbv7m-none-eabi", cpu: None, emulator: ARM, board: "mps2-an385", flash: (0, 4096), ram: (0x2000_0000, 4096), short: false },
    Machine { name: "Cortex-M4F (mps2-an386)", target: "thumbv7em-none-eabihf", cpu: None, emulator: ARM, board: "mps2-an386", flash: (0, 4096), ram: (0x2000_0000, 4096), short: true },
    Machine { name: "Cortex-M7 (mps2-an500)", target: "thumbv7em-none-eabihf", cpu: None, emulator: ARM, board: "mps2-an500", flash: (0, 4096), ram: (0x2000_0000, 4096), short: false },
    Machine { name: "Cortex-M33 (mps2-an505)", target: "thumbv8m.main-none-eabihf", cpu: None, emulator: ARM, board: "mps2-an505", flash: (0x1000_0000, 4096), ram: (0x3800_0000, 4096), short: false },
    Machine { name: "Cortex-M55 (mps3-an547)", target: "thumbv8m.main-none-eabihf", cpu: Some("cortex-m55"), emulator: ARM, board: "mps3-an547", flash: (0x1000_0000, 512), ram: (0x3000_0000, 512), short: false },
    Machine { name: "RISC-V 32 IMAC (virt)", target: "riscv32imac-unknown-none-elf", cpu: None, emulator: "qemu-system-riscv32", board: "virt", flash: (0x8000_0000, 4096), ram: (0x8040_0000, 4096), short: true },
    Machine { name: "RISC-V 32 IMAFC (virt)", target: "riscv32imafc-unknown-none-elf", cpu: None, emulator: "qemu-system-riscv32", board: "virt", flash: (0x8000_0000, 4096), ram: (0x8040_0000, 4096), short: false },
    Machine { name: "RISC-V 64 GC (virt)", target: "riscv64gc-unknown-none-elf", cpu: None, emulator: "qemu-system-riscv64", board: "virt", flash: (0x8000_0000, 4096), ram: (0x8040_0000, 4096), short: false },
    Machine { name: "WebAssembly (node)", target: "wasm32-unknown-unknown", cpu: None, emulator: "node", board: "", flash: (0, 0), ram: (0, 0), short: true },
];

/// A program of `crates/firmware/examples`.
struct Program {
    name: &'static str,
    features: &'static str,
    /// The least RAM that it fits into, in KiB.
    ram: u32,
    /// The stack that it says it needs at most, in bytes.
    stack: u64,
    /// Whether it runs on every machine, or on three of them and the host.
    everywhere: bool,
    /// Whether a normal test run uses it.
    short: bool,
}

#[rustfmt::skip]
const PROGRAMS: [Program; 10] = [
    Program { name: "plan_on_board", features: "alloc", ram: 64, stack: 16 << 10, everywhere: true, short: true },
    Program { name: "plan_in_flash", features: "", ram: 16, stack: 5 << 10, everywhere: true, short: true },
    Program { name: "sgd_in_flash", features: "", ram: 16, stack: 4 << 10, everywhere: true, short: true },
    Program { name: "sgd_on_board", features: "alloc", ram: 64, stack: 16 << 10, everywhere: true, short: true },
    Program { name: "by_hand", features: "", ram: 16, stack: 10 << 10, everywhere: true, short: true },
    Program { name: "streaming", features: "", ram: 64, stack: 8 << 10, everywhere: true, short: false },
    Program { name: "harness", features: "", ram: 16, stack: 4 << 10, everywhere: true, short: true },
    Program { name: "kernels", features: "", ram: 128, stack: 4 << 10, everywhere: false, short: true },
    Program { name: "digits_mlp", features: "", ram: 64, stack: 6 << 10, everywhere: false, short: false },
    Program { name: "digits_cnn", features: "", ram: 128, stack: 8 << 10, everywhere: false, short: false },
];

/// Where programs run that do not run everywhere: the host, and machines with an FPU that take seconds for them.
const SOME: [&str; 4] = ["", "mps2-an386", "mps3-an547", "virt"];

/// The most instructions that a multiply-add of a product of 64 × 64 may take on a Cortex-M with an FPU, times 100. The
/// outer product of a batch of 1 has a store for each and is not held to it.
const MOST_PER_MULTIPLY_ADD: u64 = 200;

/// What a program said and what its image weighs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    machine: String,
    program: String,
    /// The numbers of the report by name.
    numbers: BTreeMap<String, u64>,
    /// Bytes of flash and of static RAM; 0 where there is no image.
    flash: u64,
    ram: u64,
    /// The image, where there is one.
    image: PathBuf,
}

/// How many instructions a program runs to calibrate: `bantam_firmware::board::CALIBRATION`.
const CALIBRATION: u64 = 1 << 17;
/// The machine whose table a reader sees first.
const SHOWN: &str = "Cortex-M4F (mps2-an386)";
/// Nothing takes longer than this, in seconds.
const TIMEOUT: &str = "120";

/// Writes `crates/firmware/src/plans`, on this computer.
pub(crate) fn write_plans(workspace: &Workspace) -> Outcome {
    let mut command =
        workspace.cargo(["run", "--quiet", "--package", "bantam-firmware", "--features", "std"]);
    Outcome::of(command.args(["--example", "write_plans"]))
}

/// A stage for each machine, then the table. `only` names programs; none are all.
pub(crate) fn run(
    workspace: &Workspace,
    stages: &mut Stages,
    short: bool,
    only: &[String],
    machines: &[String],
) -> Vec<Row> {
    let mut rows = Vec::new();
    let chosen = |machine: &&Machine| {
        machines.is_empty() || machines.iter().any(|part| machine.name.contains(part.as_str()))
    };
    if !MACHINES.iter().any(|machine| chosen(&machine)) {
        let names: Vec<&str> = MACHINES.iter().map(|machine| machine.name).collect();
        stages.run("machines", || {
            Outcome::Failed(format!("none has {machines:?} in its name; there are {}", names.join(", ")))
        });
        return rows;
    }
    for machine in MACHINES.iter().filter(|machine| machine.short || !short).filter(chosen) {
        stages.run(format!("train on {}", machine.name), || {
            let programs = PROGRAMS.iter().filter(|program| {
                let chosen = only.is_empty() || only.iter().any(|name| name == program.name);
                let fits = machine.ram.1 == 0 || program.ram <= machine.ram.1;
                let here = program.everywhere
                    || SOME.contains(&machine.board)
                        && !machine.name.contains("32")
                        && machine.emulator != "node";
                chosen && here && fits && (program.short || !short)
            });
            for program in programs {
                match train(workspace, machine, program) {
                    Ok(row) => rows.push(row),
                    Err(outcome) => return outcome,
                }
            }
            Outcome::Ok
        });
    }
    let with_fpu = |row: &&Row| row.machine.contains("M4F");
    // Not where another machine was chosen: a stage that looks at nothing would be green.
    if rows.iter().any(|row| with_fpu(&row)) {
        stages.run("no arithmetic in software where the FPU has an instruction", || {
            Outcome::of_each(rows.iter().filter(with_fpu), |row| software(&row.program, &row.image))
        });
    }
    let on_vectors = |row: &&Row| row.machine.contains("M55") && row.program == "kernels";
    if rows.iter().any(|row| on_vectors(&row)) {
        stages.run("vectors where a Cortex-M has them", || {
            Outcome::of_each(rows.iter().filter(on_vectors), |row| match listing(&row.image) {
                Ok(listing) => {
                    in_vectors(&listing).map_or(Outcome::Ok, |what| Outcome::Failed(what.to_owned()))
                }
                Err(outcome) => outcome,
            })
        });
    }
    stages.run("train from C", || from_c(workspace));
    if !short && only.is_empty() {
        stages.run("power cuts at random instants", || power_cuts(workspace));
    }
    stages.run("flash stays as small as it was", || sizes(workspace, &rows));
    stages.run("memory is what was promised", || promises(&rows));
    stages.run("the same bits on every machine", || {
        println!("{}", table(&rows, None));
        match differing(&rows) {
            None => Outcome::Ok,
            Some(which) => Outcome::Failed(which),
        }
    });
    rows
}

/// Writes sizes and table to where they stand.
pub(crate) fn record(workspace: &Workspace, rows: &[Row]) -> Outcome {
    let readme = workspace.root.join("README.md");
    let written = fs::read_to_string(&readme).and_then(|text| {
        let sizes = rows.iter().filter(|row| row.flash > 0).map(size).collect::<String>();
        fs::write(workspace.root.join(SIZES), sizes)?;
        let text = with_table(&text, &table(rows, Some(SHOWN)));
        fs::write(&readme, with_table(&text, &table(rows, None)))
    });
    written.map_or_else(|error| Outcome::Failed(error.to_string()), |()| Outcome::Ok)
}

/// A text with this table in place of the one that begins with the same line.
fn with_table(text: &str, table: &str) -> String {
    let head = table.lines().next().unwrap_or_default();
    let (mut written, mut inside) = (String::new(), false);
    for line in text.lines() {
        if line == head {
            written += table;
        }
        inside = line == head || inside && line.starts_with('|');
        if !inside {
            written += line;
            written.push('\n');
        }
    }
    written
}

/// Builds and runs one program on one machine.
fn train(workspace: &Workspace, machine: &Machine, program: &Program) -> Result<Row, Outcome> {
    let mut row = Row { machine: machine.name.into(), program: program.name.into(), ..Row::default() };
    let output = if machine.target.is_empty() {
        let mut command = workspace.cargo(["run", "--quiet", "--release", "--package", "bantam-firmware"]);
        output(command.args(["--features", "std", "--example", program.name]))?
    } else {
        let image = build(workspace, machine, program)?;
        (row.flash, row.ram) = weigh(&image).map_err(Outcome::Failed)?;
        let said = output(&mut emulate(machine, &image))?;
        row.image = image;
        said
    };
    row.numbers = numbers(&output);
    if row.numbers.contains_key("hash") {
        Ok(row)
    } else {
        Err(Outcome::Failed(format!("{} on {} said: {output}", program.name, machine.name)))
    }
}

/// The image of a program for a machine.
fn build(workspace: &Workspace, machine: &Machine, program: &Program) -> Result<PathBuf, Outcome> {
    let route = Route::to_small_images(machine.target).map_err(Outcome::NotRun)?;
    // Other flags would build everything again: they get a folder of their own.
    let folder = machine.cpu.map_or("mcu".to_owned(), |cpu| format!("mcu-{cpu}"));
    let memory =
        workspace.target.join("memory").join(if machine.board.is_empty() { "none" } else { machine.board });
    write_memory(&memory, machine)
        .map_err(|error| Outcome::Failed(format!("{}: {error}", memory.display())))?;
    let mut command = route.build(workspace, machine.target, &folder);
    command.args(["--profile", "firmware", "--package", "bantam-firmware"]);
    let features = ["start", program.features].join(",");
    command.args(["--features", &features, "--example", program.name]);
    command.env("BANTAM_MEMORY", &memory);
    let mut flags = Vec::new();
    if let Some(cpu) = machine.cpu {
        flags.push(format!("-Ctarget-cpu={cpu}"));
    } else if machine.target.starts_with("wasm") {
        flags.push("-Ctarget-feature=+simd128".to_owned());
    }
    if route != Route::Installed {
        // A panic is one illegal instruction, whose trap ends the program, mistakes do not say on which line of the source they were
        // made, which a board has nobody to tell, and the arithmetic of `f64` is as small as it can be.
        flags.push("-Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none".to_owned());
        command.args(["--config", "profile.firmware.package.compiler_builtins.opt-level='z'"]);
    }
    command.env("RUSTFLAGS", flags.join(" "));
    match Outcome::of(&mut command) {
        Outcome::Ok => {}
        other => return Err(other),
    }
    let mut image =
        workspace.target.join(folder).join(machine.target).join("firmware/examples").join(program.name);
    if machine.target.starts_with("wasm") {
        image.set_extension("wasm");
    }
    Ok(image)
}

/// Functions of C's mathematics that take single precision through software or double precision.
const SOFTWARE: [&str; 10] =
    ["fma", "fmaf", "sqrtf", "sinf", "cosf", "tanhf", "expf", "logf", "powf", "erff"];

/// Whether an image for a processor with an FPU computes single precision without it: in functions of `libm`, or by calls to the
/// arithmetic of doubles from kernels. Schedules compute in double precision, and may.
fn software(program: &str, image: &Path) -> Outcome {
    let listing = match listing(image) {
        Ok(listing) => listing,
        Err(outcome) => return outcome,
    };
    match in_software(program, &listing) {
        None => Outcome::Ok,
        Some(what) => Outcome::Failed(format!("{program}: {what}")),
    }
}

/// The instructions of an image.
fn listing(image: &Path) -> Result<String, Outcome> {
    let mut command = Command::new("arm-none-eabi-objdump");
    match command.arg("--disassemble").arg("--no-show-raw-insn").arg(image).output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(Outcome::Failed(format!("{command:?} ended with {}", output.status))),
        Err(_) => Err(Outcome::NotRun(
            "arm-none-eabi-objdump is missing; on Debian: `apt-get install binutils-arm-none-eabi`"
                .to_owned(),
        )),
    }
}

/// What a listing has that it should not have, or the other way around.
fn in_software(program: &str, listing: &str) -> Option<String> {
    let mut function = "";
    for line in listing.lines() {
        if let Some(name) = line.split_once('<').and_then(|(_, rest)| rest.strip_suffix(">:")) {
            function = name;
            // The crate's functions of single precision end with this letter; what initializers do in double precision may be.
            let single = name.contains("4libm4math") && (name.ends_with('f') || name.contains("4math3fma"));
            if SOFTWARE.contains(&name) || single {
                return Some(format!("{name} is in the image"));
            }
        } else if let Some((_, call)) = line.split_once("\tbl\t") {
            let called = call.rsplit_once('<').map_or("", |(_, name)| name.trim_end_matches('>'));
            let doubles = called.starts_with("__aeabi_d") || called == "__aeabi_f2d";
            if doubles && (program == "by_hand" || function.contains("bantam_kernels")) {
                return Some(format!("{function} calls {called}"));
            }
        }
    }
    // Adam takes square roots.
    let missing = program == "plan_in_flash" && !listing.contains("vsqrt.f32");
    missing.then(|| "there is no vsqrt.f32 in it".to_owned())
}

/// What a listing for a processor with vectors lacks: the product of vectors of a fast dot product, and the loops over vectors of a
/// ReLU and of its gradient. Of those, the disassembler only knows the end.
fn in_vectors(listing: &str) -> Option<&'static str> {
    if !listing.contains("vmul.f32\tq") {
        return Some("there is no product of vectors in the image");
    }
    let loops = listing.matches("\tletp\t").count();
    (loops < 2).then_some("a ReLU or its gradient has no loop over vectors in the image")
}

/// Builds the static library, links a C program with it, and runs that on the M4F.
fn from_c(workspace: &Workspace) -> Outcome {
    let Some(machine) = MACHINES.iter().find(|machine| machine.board == "mps2-an386") else {
        return Outcome::Failed("no such machine".to_owned());
    };
    let library =
        Program { name: "c_library", features: "", ram: 0, stack: 0, everywhere: false, short: true };
    let image = match build(workspace, machine, &library) {
        Ok(image) => image.with_file_name("libc_library.a"),
        Err(outcome) => return outcome,
    };
    let firmware = workspace.root.join("crates/firmware");
    let program = image.with_file_name("trains_from_c");
    let mut compiler = Command::new("arm-none-eabi-gcc");
    compiler.args([
        "-mcpu=cortex-m4",
        "-mthumb",
        "-mfloat-abi=hard",
        "-mfpu=fpv4-sp-d16",
        "-O2",
        "-Wall",
        "-Wextra",
    ]);
    compiler.args([
        "-Werror",
        "-nostartfiles",
        "-nostdlib",
        "-T",
        "link.x",
        "-Wl,--no-warn-rwx-segments,--gc-sections,-z,noexecstack",
        "-o",
    ]);
    compiler.arg(&program).arg(firmware.join("c/main.c")).arg(image);
    compiler
        .arg("-L")
        .arg(firmware.join("link"))
        .arg("-L")
        .arg(workspace.target.join("memory").join(machine.board));
    match Outcome::of(&mut compiler) {
        Outcome::Ok => {}
        Outcome::NotRun(why) => {
            return Outcome::NotRun(format!("{why}; on Debian: `apt-get install gcc-arm-none-eabi`"));
        }
        failed => return failed,
    }
    match output(&mut emulate(machine, &program)) {
        Ok(said) if said.contains("trained from C") => Outcome::Ok,
        Ok(said) => Outcome::Failed(format!("it said: {said}")),
        Err(outcome) => outcome,
    }
}

/// Kills a program that keeps checkpoints in flash, on the machine whose flash is a file.
fn power_cuts(workspace: &Workspace) -> Outcome {
    let Some(machine) = MACHINES.iter().find(|machine| machine.emulator == "qemu-system-riscv32") else {
        return Outcome::Failed("no such machine".to_owned());
    };
    let program =
        Program { name: "power_cuts", features: "", ram: 0, stack: 0, everywhere: false, short: true };
    match build(workspace, machine, &program) {
        Ok(image) => crate::power::cuts(machine.emulator, &image, &image.with_extension("flash")),
        Err(outcome) => outcome,
    }
}

/// memory.x for link.x.
fn write_memory(folder: &Path, machine: &Machine) -> std::io::Result<()> {
    let ((flash, flash_size), (ram, ram_size)) = (machine.flash, machine.ram);
    let text = format!(
        "MEMORY {{\n  FLASH : ORIGIN = {flash:#x}, LENGTH = {flash_size}K\n  RAM : ORIGIN = {ram:#x}, LENGTH = {ram_size}K\n}}\n"
    );
    let path = folder.join("memory.x");
    fs::create_dir_all(folder)?;
    if fs::read_to_string(&path).is_ok_and(|there| there == text) { Ok(()) } else { fs::write(path, text) }
}

/// What runs an image.
fn emulate(machine: &Machine, image: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args([TIMEOUT, machine.emulator]);
    if machine.emulator == "node" {
        command.args(["--eval", NODE]).arg(image);
        return command;
    }
    command.args(["-M", machine.board, "-nographic", "-semihosting-config", "enable=on,target=native"]);
    // One instruction takes 64 ns on Arm, so that SysTick counts them; RISC-V counts them itself.
    let shift = if machine.emulator == ARM { 6 } else { 0 };
    command.args(["-icount", &format!("shift={shift},align=off,sleep=off")]);
    if machine.emulator != ARM {
        command.args(["-bios", "none"]);
    }
    command.arg("-kernel").arg(image);
    command
}

/// Runs a WebAssembly module whose imports are a board.
const NODE: &str = "const fs = require('fs');
const board = {
  board_write: (start, len) => fs.writeSync(1, new Uint8Array(instance.exports.memory.buffer, start, len)),
  board_exit: (code) => process.exit(code),
};
const code = new WebAssembly.Module(fs.readFileSync(process.argv[1]));
const instance = new WebAssembly.Instance(code, { board });
instance.exports.program();";

/// Runs a command and returns everything that it says.
fn output(command: &mut Command) -> Result<String, Outcome> {
    let program = command.get_program().to_string_lossy().into_owned();
    let emulator = command.get_args().nth(1).map(|name| name.to_string_lossy().into_owned());
    println!("$ {}", crate::stages::show(command));
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| Outcome::NotRun(format!("{program} did not start: {error}")))?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    match output.status.code() {
        Some(0) => Ok(said),
        // timeout(1) could not start its command.
        Some(127) => Err(Outcome::NotRun(format!(
            "{} is missing; on Debian: `apt-get install qemu-system-arm qemu-system-misc nodejs`",
            emulator.unwrap_or(program)
        ))),
        code => Err(Outcome::Failed(format!("exit code {code:?}; it said: {said}"))),
    }
}

/// The lines `name 0x…` of a report.
fn numbers(output: &str) -> BTreeMap<String, u64> {
    let number = |line: &str| {
        let (name, digits) = line.trim().rsplit_once(" 0x")?;
        Some((name.to_owned(), u64::from_str_radix(digits, 16).ok()?))
    };
    output.lines().filter_map(number).collect()
}

/// Bytes of flash (code, constants and first values) and of static RAM, from the program headers of an ELF image; of a
/// WebAssembly module, its length.
fn weigh(image: &Path) -> Result<(u64, u64), String> {
    let bytes = fs::read(image).map_err(|error| format!("{}: {error}", image.display()))?;
    if bytes.starts_with(b"\0asm") {
        return Ok((bytes.len() as u64, 0));
    }
    weigh_elf(&bytes).ok_or_else(|| format!("{}: not an ELF image", image.display()))
}

fn weigh_elf(bytes: &[u8]) -> Option<(u64, u64)> {
    let number = |at: usize, len: usize| {
        let bytes = bytes.get(at..at + len)?;
        Some(bytes.iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte)))
    };
    if !bytes.starts_with(b"\x7fELF") {
        return None;
    }
    // Offsets by the ELF specification, for 32 and for 64 bits.
    let wide = number(4, 1)? == 2;
    let [phoff, phentsize, phnum, filesz, memsz, flags, word] =
        if wide { [32, 54, 56, 32, 40, 4, 8] } else { [28, 42, 44, 16, 20, 24, 4] };
    let (start, size, count) = (number(phoff, word)?, number(phentsize, 2)?, number(phnum, 2)?);
    let (mut flash, mut ram) = (0, 0);
    for i in 0..count {
        let header = (start + i * size) as usize;
        if number(header, 4)? == LOAD {
            flash += number(header + filesz, word)?;
            if number(header + flags, 4)? & WRITABLE != 0 {
                ram += number(header + memsz, word)?;
            }
        }
    }
    Some((flash, ram))
}

/// A segment that is loaded, and one that can be written to.
const LOAD: u64 = 1;
const WRITABLE: u64 = 2;

/// Holds what every program measured of itself against what was promised: its arena to the byte, its stack, and the
/// instructions of a multiply-add.
fn promises(rows: &[Row]) -> Outcome {
    let mut broken = Vec::new();
    for row in rows {
        let number = |name: &str| row.numbers.get(name).copied();
        let Some(program) = PROGRAMS.iter().find(|program| program.name == row.program) else { continue };
        let mut say = |what: String| broken.push(format!("{} on {}: {what}", row.program, row.machine));
        if let (Some(arena), Some(touched)) = (number("arena"), number("touched"))
            && arena != touched
        {
            say(format!("{touched} bytes of arena were touched, {arena} were promised"));
        }
        let stack = number("stack").unwrap_or(0);
        if stack > program.stack {
            say(format!("{stack} bytes of stack, {} were stated", program.stack));
        }
        if row.machine.contains("Cortex") {
            let per_instruction = number("calibration").unwrap_or(1).max(1);
            for (name, ticks) in row.numbers.iter().filter(|(name, _)| name.contains("batch")) {
                let work = if name.contains("batch 64") { 64 * 64 * 64 } else { 64 * 64 };
                let hundredths = ticks * CALIBRATION * 100 / per_instruction / work;
                println!(
                    "{}: {name}: {}.{:02} instructions",
                    row.machine,
                    hundredths / 100,
                    hundredths % 100
                );
                if hundredths > MOST_PER_MULTIPLY_ADD && name != "gradient of W, batch 1" {
                    say(format!("{name} takes {hundredths} hundredths of an instruction for a multiply-add"));
                }
            }
        }
    }
    if broken.is_empty() { Outcome::Ok } else { Outcome::Failed(broken.join("; ")) }
}

/// The first program that did not end with the same bits everywhere.
fn differing(rows: &[Row]) -> Option<String> {
    let bits = |row: &Row| ["hash", "loss", "right"].map(|name| row.numbers.get(name).copied());
    rows.iter().find_map(|row| {
        let first = rows.iter().find(|first| first.program == row.program)?;
        (bits(first) != bits(row))
            .then(|| format!("{} has other bits on {} than on {}", row.program, row.machine, first.machine))
    })
}

/// Holds every image against `crates/firmware/sizes.txt`: more than a twentieth above the record is a failure. A smaller one
/// is said, so that the record can follow.
fn sizes(workspace: &Workspace, rows: &[Row]) -> Outcome {
    let record = fs::read_to_string(workspace.root.join(SIZES)).unwrap_or_default();
    let (mut grown, mut text) = (Vec::new(), String::new());
    for row in rows.iter().filter(|row| row.flash > 0) {
        let key = format!("{}, {}", row.program, row.machine);
        text += &size(row);
        match recorded(&record, &key) {
            Some(bytes) if row.flash * 20 > bytes * 21 => {
                grown.push(format!("{key} takes {} bytes of flash, recorded are {bytes}", row.flash));
            }
            Some(bytes) if row.flash * 21 < bytes * 20 => {
                println!("{key} became smaller: {} of {bytes}", row.flash)
            }
            Some(_) => {}
            None => println!("{key} is not recorded"),
        }
    }
    println!("{}", text.trim_end());
    if grown.is_empty() { Outcome::Ok } else { Outcome::Failed(grown.join("; ")) }
}

/// Where the sizes of images are recorded.
const SIZES: &str = "crates/firmware/sizes.txt";

/// An image's line there.
fn size(row: &Row) -> String {
    format!("{}, {}: {}\n", row.program, row.machine, row.flash)
}

/// The bytes in the line `key: bytes`.
fn recorded(record: &str, key: &str) -> Option<u64> {
    record.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")?.parse().ok())
}

/// The table, as Markdown: of one machine, or of all.
fn table(rows: &[Row], only: Option<&str>) -> String {
    let numbers = "instructions per step | flash | static RAM | arena | stack | right | hash of the weights";
    let head = only.map_or("program | machine".to_owned(), |machine| format!("on the {machine}"));
    let columns = format!("{head} | {numbers}");
    let mut text = format!("| {columns} |\n|{}\n", "---|".repeat(columns.split('|').count()));
    let shown = |row: &&Row| only.is_none_or(|machine| row.machine == machine);
    for row in rows.iter().filter(|row| row.numbers.contains_key("steps")).filter(shown) {
        let number = |name: &str| row.numbers.get(name).copied().unwrap_or(0);
        let or_dash = |value: u64| if value == 0 { "–".to_owned() } else { grouped(value) };
        let scale = (number("calibration") * number("steps")).max(1);
        let machine = if only.is_some() { String::new() } else { format!(" {} |", row.machine) };
        text += &format!(
            "| {} |{machine} {} | {} | {} | {} | {} | {:.1} % | {:016x} |\n",
            row.program,
            or_dash((u128::from(number("ticks")) * u128::from(CALIBRATION) / u128::from(scale)) as u64),
            or_dash(row.flash),
            or_dash(row.ram),
            or_dash(number("arena")),
            or_dash(number("stack")),
            100.0 * number("right") as f64 / number("tested").max(1) as f64,
            number("hash"),
        );
    }
    text
}

/// 1234567 as 1,234,567.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let said = "warning: something\nhash 0x1f\nsteps 0x200\nhalf a line 0xzz\n";
        let expected = BTreeMap::from([("hash".to_owned(), 31), ("steps".to_owned(), 512)]);
        assert_eq!(numbers(said), expected);
    }

    #[test]
    fn arithmetic_in_software_is_found() {
        let listing = |function: &str, line: &str| format!("00000040 <{function}>:\n      44:\t{line}\n");
        let root = "vsqrt.f32\ts0, s0";
        assert_eq!(in_software("plan_in_flash", &listing("bantam_kernels", root)), None);
        assert!(in_software("plan_in_flash", &listing("run", "nop")).unwrap().contains("vsqrt"));
        assert!(in_software("streaming", &listing("fmaf", "nop")).unwrap().starts_with("fmaf"));
        let of_crate = |name: &str| in_software("streaming", &listing(name, "nop"));
        assert!(of_crate("_RNvNtNtCs_4libm4math5sqrtf5sqrtf").is_some());
        assert_eq!(of_crate("_RNvNtNtCs_4libm4math4sqrt4sqrt"), None);
        let call = "bl\t6c40 <__aeabi_dmul>";
        assert_eq!(in_software("streaming", &listing("bantam_schedule", call)), None);
        let found = in_software("streaming", &listing("bantam_kernels", call)).unwrap();
        assert_eq!(found, "bantam_kernels calls __aeabi_dmul");
        assert!(in_software("by_hand", &listing("run", call)).is_some());
    }

    #[test]
    fn missing_vectors_are_found() {
        let whole = "4:\tvmul.f32\tq2, q2, q3\n8:\tletp\tlr, 4\nc:\tletp\tlr, 8\n";
        assert_eq!(in_vectors(whole), None);
        assert!(in_vectors(&whole.replace("q2", "s2")).is_some());
        assert!(in_vectors(&whole.replacen("letp", "le", 1)).is_some());
    }

    #[test]
    fn other_bits_are_found() {
        let row = |machine: &str, hash: u64| Row {
            machine: machine.into(),
            program: "p".into(),
            numbers: BTreeMap::from([("hash".into(), hash)]),
            ..Row::default()
        };
        assert_eq!(differing(&[row("a", 1), row("b", 1)]), None);
        let error = differing(&[row("a", 1), row("b", 2)]).unwrap();
        assert_eq!(error, "p has other bits on b than on a");
    }

    #[test]
    fn the_record_is_read() {
        let record = "a, b: 12\na, b c: 34\n";
        assert_eq!((recorded(record, "a, b"), recorded(record, "a, b c")), (Some(12), Some(34)));
        assert_eq!(recorded(record, "a"), None);
    }

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let text = "before\n\n| a |\n|---|\n| 1 |\n| 2 |\n\n| b |\nafter\n";
        let expected = "before\n\n| a |\n|---|\n| 3 |\n\n| b |\nafter\n";
        assert_eq!(with_table(text, "| a |\n|---|\n| 3 |\n"), expected);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([7, 1234, 1_234_567].map(grouped), ["7", "1,234", "1,234,567"]);
    }
}
