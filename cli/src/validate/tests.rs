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

/// Three handlers of a continuation `[] -> []`, for tags with these parameters, whose labels take an i32 and then a continuation.
fn with_handlers(parameters: [&str; 3]) -> String {
    let [a, b, d] = parameters;
    format!(
        "(module (type $f (func)) (type $c (cont $f)) (tag $a {a}) (tag $b {b}) (tag $d {d})
           (func (param $k (ref null $c))
             (block $ha (result i32 (ref $c))
               (block $hb (result i32 (ref $c))
                 (loop $unrelated)
                 (block $hd (result i32 (ref $c))
                   (resume $c (on $a $ha) (on $b $hb) (on $d $hd) (local.get $k))
                   (return))
                 (return))
               (return))
             (return)))"
    )
}

#[test]
fn of_several_handlers_the_first_wrong_one_is_named_with_what_its_label_takes() {
    let i32 = "(param i32)";
    assert!(diagnostics(&with_handlers([i32, i32, i32])).is_empty());
    let found = diagnostics(&with_handlers([i32, "(param i64)", ""]));
    assert_eq!(
        found[0].message,
        "type mismatch in handler (on $b $hb): the label takes [i32 (ref $c)], where $c is a continuation of [] -> []; \
         it has to take [i64 (ref $k)], where $k is a continuation of [] -> []"
    );
    let found = diagnostics(&with_handlers([i32, i32, ""]));
    assert!(found[0].message.contains("in handler (on $d $hd)"), "{}", found[0]);
    let found = diagnostics(&with_handlers([i32, "(param i32) (result f32)", i32]));
    assert!(
        found[0].message.ends_with("it has to take [i32 (ref $k)], where $k is a continuation of [f32] -> []"),
        "{}",
        found[0]
    );
}

#[test]
fn a_handler_whose_label_takes_no_continuation_says_so() {
    let text = |label: &str| {
        format!(
            "(module (type $ft (func)) (type $ct (cont $ft)) (tag $t)
               (func (param (ref $ct))
                 (block $on_t (result {label}) (resume $ct (on $t $on_t) (local.get 0)) (unreachable))
                 (drop)))"
        )
    };
    let found = diagnostics(&text("(ref $ft)"));
    assert!(found[0].message.contains("takes [(ref $ft)], where $ft is no continuation type"), "{}", found[0]);
    let found = diagnostics(&text("(ref cont)"));
    assert!(found[0].message.contains("(on $t $on_t): the label takes [(ref cont)]; it has"), "{}", found[0]);
}

#[test]
fn a_handler_for_switches_names_its_tag_and_both_types() {
    let found = diagnostics(
        "(module (type $f (func (result i64))) (type $c (cont $f)) (tag $t (result i32))
           (func (param (ref $c)) (result i64) (resume $c (on $t switch) (local.get 0))))",
    );
    assert_eq!(
        found[0].message,
        "type mismatch in handler (on $t switch): the tag's type is [] -> [i32], and has to be [] -> [i64]"
    );
    assert!(found[0].rule.unwrap().starts_with("the tag of (on $tag switch)"), "{}", found[0]);
}

#[test]
fn an_operand_of_a_resume_is_explained_without_the_rules_of_handlers() {
    let found = diagnostics(
        "(module (type $f (func)) (type $c (cont $f)) (type $g (func (param i32))) (type $d (cont $g))
           (func (param (ref $d)) (resume $c (local.get 0))))",
    );
    assert_eq!(found[0].message, "type mismatch: expected (ref null $c), found (ref $d)");
    assert!(!found[0].rule.unwrap().contains("$tag"), "{}", found[0]);
}

#[test]
fn types_that_do_not_match_are_named_on_both_sides() {
    let mismatch = |types: &str, expected: &str, found: &str| {
        let text = format!("(module {types} (func (param {found}) (result {expected}) (local.get 0)))");
        diagnostics(&text).remove(0).message
    };
    let types = "(type $f (func)) (type $g (func (param i32)))";
    assert_eq!(mismatch(types, "(ref $f)", "(ref $g)"), "type mismatch: expected (ref $f), found (ref $g)");
    assert_eq!(mismatch(types, "(ref $f)", "(ref null $f)"), "type mismatch: expected (ref $f), found (ref null $f)");
    assert_eq!(mismatch(types, "(ref $f)", "i32"), "type mismatch: expected (ref $f), found i32");
    assert_eq!(mismatch(types, "(ref i31)", "(ref null $g)"), "type mismatch: expected (ref i31), found (ref null $g)");
    let unnamed = "(type (func)) (type (func (param i32)))";
    assert_eq!(mismatch(unnamed, "(ref 0)", "(ref 1)"), "type mismatch: expected (ref 0), found (ref 1)");
    let twice = "(type $f (func)) (type $g (func (param i32))) (type $h (func))";
    assert_eq!(
        mismatch(twice, "(ref $h)", "(ref $g)"),
        "type mismatch: expected (ref $f), found (ref $g) ($f and $h are one type)"
    );
}

#[test]
fn the_type_of_an_operand_that_is_not_there_gets_no_wrong_name() {
    let found = diagnostics("(module (type $f (func)) (func $callee (param (ref $f))) (func (call $callee)))");
    assert_eq!(found[0].message, "type mismatch: expected a reference to a defined type but nothing on stack");
}

#[test]
fn types_in_constant_expressions_and_segments_are_named() {
    let message = |fields: &str| {
        let types = "(type $a (func (param i32))) (type $b (func (param i64)))";
        diagnostics(&format!("(module {types} (func $x (type $a)) (table 1 (ref null $b)) {fields})")).remove(0).message
    };
    let expected = "type mismatch: expected (ref $b), found (ref $a)";
    assert_eq!(message("(global (ref $b) (ref.func $x))"), expected);
    assert_eq!(message("(elem (ref $b) (ref.func $x))"), expected);
    assert_eq!(
        message("(global $n (ref null $a) (ref.null $a)) (global (ref null $b) (global.get $n))"),
        "type mismatch: expected (ref null $b), found (ref null $a)"
    );
    assert_eq!(
        message("(type $s (struct (field (ref $b)))) (global (ref $s) (struct.new $s (ref.func $x)))"),
        "type mismatch: expected a reference to a defined type, found a reference to another one"
    );
    assert_eq!(
        message("(elem (i32.const 0) (ref $a) (ref.func $x))"),
        "type mismatch: invalid element type `(ref $a)` for table type `(ref null $b)`"
    );
}

#[test]
fn a_type_that_is_no_continuation_type_is_named() {
    let found = diagnostics("(module (type $f (func)) (func (param (ref $f)) (resume $f (local.get 0))))");
    assert_eq!(found[0].message, "non-continuation type $f (index 0)");
}

#[test]
fn casts_and_subtypes_of_continuations_are_explained() {
    let rule = |text: &str| diagnostics(text).remove(0).rule.unwrap();
    for instruction in ["ref.test contref", "ref.cast (ref null nocont)", "br_on_cast 0 contref contref"] {
        let text = format!("(module (func (result contref) ({instruction} (unreachable)) (unreachable)))");
        assert!(rule(&text).contains("ref.cast"), "{instruction}");
    }
    let types = "(type $f (func)) (type $c (cont $f))";
    for (from, to) in [("(ref cont)", "(ref nocont)"), ("(ref $c)", "(ref any)"), ("(ref null $c)", "(ref $c)")] {
        let text = format!("(module {types} (func (param {from}) (result {to}) (local.get 0)))");
        assert!(rule(&text).contains("hierarchy of their own"), "{from} {to}");
    }
    let text = "(module (type $f (sub (func))) (type $c (sub (cont $f))) (type $g (func (param i32))) (type (sub $c (cont $g))))";
    assert!(rule(text).starts_with("the supertype of a continuation type"));
}

#[test]
fn what_does_not_exist_is_explained_by_no_rule() {
    let found = diagnostics("(module (func (suspend 0)))");
    assert_eq!(found[0].rule, None, "{}", found[0]);
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
fn a_number_that_is_none_is_missed_in_proper_english() {
    let found = diagnostics("(module (func (drop (i32.const x))))");
    assert!(found[0].message.contains("expected an i32"), "{}", found[0]);
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
