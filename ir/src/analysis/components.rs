//! Strongly connected components (Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Comput. 1972), without recursion.

const UNVISITED: u32 = u32::MAX;

/// The strongly connected components of more than one node among the nodes `0..count` that the roots lead to, each as the list of its nodes.
///
/// `successors` appends a node's successors to a list.
pub fn strongly_connected_components(
    count: usize,
    roots: impl IntoIterator<Item = u32>,
    mut successors: impl FnMut(u32, &mut Vec<u32>),
) -> Vec<Vec<u32>> {
    let mut number = vec![UNVISITED; count];
    let mut low = vec![UNVISITED; count];
    let mut on_stack = vec![false; count];
    let mut stack = Vec::new();
    let mut next_number = 0;
    let mut components = Vec::new();
    for root in roots {
        if number[root as usize] != UNVISITED {
            continue;
        }
        // Nodes that are being visited, with the successors that are still to be looked at.
        let mut visits: Vec<(u32, Vec<u32>)> = Vec::new();
        let mut entering = Some(root);
        loop {
            if let Some(node) = entering.take() {
                number[node as usize] = next_number;
                low[node as usize] = next_number;
                next_number += 1;
                stack.push(node);
                on_stack[node as usize] = true;
                let mut list = Vec::new();
                successors(node, &mut list);
                visits.push((node, list));
            }
            let Some((node, list)) = visits.last_mut() else { break };
            let node = *node;
            if let Some(next) = list.pop() {
                if number[next as usize] == UNVISITED {
                    entering = Some(next);
                } else if on_stack[next as usize] {
                    low[node as usize] = low[node as usize].min(number[next as usize]);
                }
                continue;
            }
            visits.pop();
            if let Some((above, _)) = visits.last() {
                low[*above as usize] = low[*above as usize].min(low[node as usize]);
            }
            if low[node as usize] == number[node as usize] {
                let start = stack.iter().rposition(|&member| member == node).expect("the root is on the stack");
                let component: Vec<u32> = stack.drain(start..).collect();
                component.iter().for_each(|&member| on_stack[member as usize] = false);
                if component.len() > 1 {
                    components.push(component);
                }
            }
        }
    }
    components
}

#[cfg(test)]
mod tests {
    use super::strongly_connected_components;

    #[test]
    fn components_are_the_cycles_that_roots_lead_to() {
        // 0 → 1 ⇄ 2 → 3 → 3; 4 → 5 → 6 → 4 is not reached.
        let edges: [&[u32]; 7] = [&[1], &[2], &[1, 3], &[3], &[5], &[6], &[4]];
        let components = |roots: &[u32]| {
            let mut found = strongly_connected_components(edges.len(), roots.iter().copied(), |node, list| {
                list.extend_from_slice(edges[node as usize]);
            });
            found.iter_mut().for_each(|component| component.sort_unstable());
            found.sort();
            found
        };
        assert_eq!(components(&[0]), [vec![1, 2]]);
        assert_eq!(components(&[0, 4]), [vec![1, 2], vec![4, 5, 6]]);
        assert!(components(&[3]).is_empty());
    }
}
