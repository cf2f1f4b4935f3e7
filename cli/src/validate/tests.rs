use super::*;
use crate::input_output::Input;

fn diagnostics(text: &str) -> Vec<Diagnostic> {
    diagnose(&Input::from_bytes("a.wat", None, text.as_bytes().to_vec()).unwrap(), features::all())
}

#[test]
fn a_valid_module_has_no_diagnostics() {
    assert!(diagnostics("(module (func (result i32) i32.const 1))").is_empty());
}

#[test]
fn an_error_names_function_instruction_line_and_column() {
    let text = "(module\n  (func $good)\n  (func $bad (result i32)\n    i32.const 1\n    (i64.add (i64.const 1) (i32.const 2))\n    drop))";
    let found = diagnostics(text);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].function.as_deref(), Some("$bad (index 1)"));
    assert_eq!(found[0].instruction.as_deref(), Some("i64.add"));
    assert_eq!(found[0].position, Some(SourcePosition { line: 5, column: 6 }));
    let shown = found[0].to_string();
    assert!(shown.contains("5 |     (i64.add (i64.const 1)") && shown.contains("\n  |      ^"), "{shown}");
}

#[test]
fn every_function_at_fault_is_reported() {
    let found = diagnostics("(module (func $a i32.const 1) (func $b) (func $c f32.neg drop))");
    let functions: Vec<_> = found.iter().map(|diagnostic| diagnostic.function.as_deref().unwrap()).collect();
    assert_eq!(functions, ["$a (index 0)", "$c (index 2)"]);
}

#[test]
fn errors_beyond_the_limit_are_counted() {
    let text = format!("(module {})", "(func i32.const 1)".repeat(MAX_ERRORS_PER_MODULE + 7));
    let found = diagnostics(&text);
    assert_eq!(found.len(), MAX_ERRORS_PER_MODULE + 1);
    assert!(found.last().unwrap().message.starts_with("7 more"));
}

#[test]
fn a_missing_end_points_into_the_function() {
    let found = diagnostics("(module\n (func (result i32)\n  nop))");
    assert_eq!(found[0].position.unwrap().line, 3);
}

#[test]
fn a_wrong_handler_label_is_explained_by_the_proposals_rule() {
    let text = "(module
        (type $ft (func)) (type $ct (cont $ft)) (tag $yield (param i32))
        (func (param (ref $ct))
          (block $handler (result i32)
            (resume $ct (on $yield $handler) (local.get 0))
            (return))
          (drop)))";
    let found = diagnostics(text);
    assert!(found[0].rule.unwrap().contains("followed by a reference to a continuation"), "{}", found[0]);
    assert_eq!(found[0].position.unwrap().line, 5);
}

#[test]
fn a_continuation_type_over_a_struct_is_explained() {
    let found = diagnostics("(module\n (type $s (struct))\n (type $ct (cont $s)))");
    assert!(found[0].rule.unwrap().contains("must name a function type"), "{}", found[0]);
    assert_eq!(found[0].position.unwrap().line, 3);
}

#[test]
fn a_disabled_feature_is_named_with_the_flag_that_enables_it() {
    let input = Input::from_bytes("a.wat", None, b"(module (func (param v128)))".to_vec()).unwrap();
    let found = diagnose(&input, features::mvp());
    assert!(found[0].to_string().contains("--enable-simd"), "{}", found[0]);
}

#[test]
fn a_syntax_error_has_a_place_too() {
    let found = diagnostics("(module\n  (func i32.cost 1))");
    assert_eq!(found[0].position, Some(SourcePosition { line: 2, column: 9 }));
}

#[test]
fn definitions_are_found_in_the_text() {
    let found = diagnostics("(module\n  (memory 1)\n  (global i32 (i64.const 1))\n  (func))");
    assert_eq!(found[0].position.unwrap().line, 3);
}

#[test]
fn a_very_long_line_is_cut_around_the_caret() {
    let text = format!("(module (func {} f32.neg {}))", "nop ".repeat(1000), "nop ".repeat(1000));
    let found = diagnostics(&text);
    let shown = found[0].to_string();
    assert!(shown.len() < 2000 && shown.contains('…'), "{shown}");
    let lines: Vec<&str> = shown.lines().collect();
    let caret = lines.iter().position(|line| line.trim_end().ends_with('^')).unwrap();
    let column = lines[caret].chars().position(|character| character == '^').unwrap();
    assert!(lines[caret - 1].chars().skip(column).collect::<String>().starts_with("f32.neg"), "{shown}");
}

#[test]
fn binary_garbage_is_an_error_and_not_a_panic() {
    let mut binary = wat::parse_str("(module (func (result i32) i32.const 1))").unwrap();
    for index in 8..binary.len() {
        let original = binary[index];
        for value in [0x00, 0x7f, 0x80, 0xff] {
            binary[index] = value;
            let input = Input::from_bytes("a.wasm", None, binary.clone()).unwrap();
            let _ = diagnose(&input, features::all());
        }
        binary[index] = original;
    }
}

#[test]
fn check_gives_one_line_with_the_function() {
    let binary = wat::parse_str("(module (func $f i32.const 1))").unwrap();
    let error = check(&binary, features::all()).unwrap_err().to_string();
    assert!(error.contains("$f (index 0)") && error.contains("at byte"), "{error}");
}

/// Before `resume_throw_ref` existed, its opcode was that of `switch`, and the other way round for nobody.
#[test]
fn a_switch_with_its_old_opcode_is_explained() {
    for tag in ["", "(tag $unused)"] {
        let text = format!(
            "(module (rec (type $f (func (param (ref null $k)))) (type $k (cont $f))) {tag} (tag $t)
               (func (param (ref $k)) (drop (switch $k $t (local.get 0)))))"
        );
        let mut binary = wat::parse_str(&text).unwrap();
        let opcode = binary.iter().rposition(|&byte| byte == 0xe6).unwrap();
        binary[opcode] = 0xe5;
        let input = Input::from_bytes("old.wasm", None, binary).unwrap();
        let found = diagnose(&input, features::all());
        assert!(found[0].help.as_ref().unwrap().contains("switch is 0xe6 now"), "{}", found[0]);
        assert!(found[0].rule.unwrap().starts_with("resume_throw_ref"), "{}", found[0]);
    }
}
