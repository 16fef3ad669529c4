//! Site codes, as `DARK-GROVE-7839`: short enough to be read over the telephone.

use rand::Rng;

const FIRST: [&str; 64] = [
    "AMBER", "ASHEN", "AZURE", "BLUE", "BOLD", "BRAVE", "BRIGHT", "BRONZE", "CALM", "CLEAR",
    "COLD", "COPPER", "CORAL", "CRISP", "DARK", "DEEP", "DRY", "DUSKY", "EARLY", "EAST", "FAIR",
    "FAST", "FIRM", "FREE", "FRESH", "GOLD", "GRAND", "GREEN", "GREY", "HIGH", "IRON", "IVORY",
    "JADE", "KEEN", "LATE", "LIGHT", "LONG", "LUNAR", "MILD", "MISTY", "NEAT", "NEW", "NOBLE",
    "NORTH", "OLIVE", "OPEN", "PALE", "PLAIN", "PROUD", "QUICK", "QUIET", "RAPID", "RED", "ROYAL",
    "RUSTY", "SALT", "SHARP", "SILVER", "SOLAR", "SOUTH", "STEADY", "STONE", "SWIFT", "WEST",
];

const SECOND: [&str; 64] = [
    "ANCHOR", "ARCH", "BAY", "BEACON", "BIRCH", "BRIDGE", "BROOK", "CANYON", "CAPE", "CEDAR",
    "CLIFF", "CLOUD", "COVE", "CREEK", "DELTA", "DUNE", "ELM", "FALCON", "FERN", "FIELD", "FJORD",
    "FLINT", "FOREST", "FORGE", "GARDEN", "GATE", "GLEN", "GROVE", "HARBOR", "HAVEN", "HAWK",
    "HILL", "HOLLOW", "ISLAND", "LAKE", "LANTERN", "LEDGE", "MAPLE", "MARSH", "MEADOW", "MESA",
    "MILL", "MOON", "OAK", "ORCHARD", "OTTER", "PASS", "PEAK", "PINE", "POINT", "POND", "RANGE",
    "RAVEN", "RIDGE", "RIVER", "SHORE", "SPRING", "STAR", "SUMMIT", "TOWER", "VALE", "VALLEY",
    "WILLOW", "WOOD",
];

/// Makes a code: WORD-WORD-NUMBER with four digits, some 36 million of them. The database's
/// unique index decides whether it is free.
pub fn generate(rng: &mut impl Rng) -> String {
    let first = FIRST[rng.random_range(0..FIRST.len())];
    let second = SECOND[rng.random_range(0..SECOND.len())];
    format!("{first}-{second}-{}", rng.random_range(1000..10_000))
}

/// Brings what a person typed into the stored form: no blanks around it, upper case.
#[must_use]
pub fn normalize(text: &str) -> String {
    text.trim().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_word_word_number() {
        for _ in 0..200 {
            let code = generate(&mut rand::rng());
            let parts: Vec<&str> = code.split('-').collect();
            assert_eq!(parts.len(), 3, "{code}");
            assert!(
                parts[..2]
                    .iter()
                    .all(|p| p.bytes().all(|b| b.is_ascii_uppercase())),
                "{code}"
            );
            assert_eq!(parts[2].len(), 4);
            assert!(parts[2].parse::<u32>().is_ok());
        }
    }

    #[test]
    fn a_code_typed_in_lower_case_with_blanks_is_the_same_code() {
        assert_eq!(normalize(" dark-grove-7839\n"), "DARK-GROVE-7839");
    }
}
