// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity >=0.8.19 <0.9.0;

/// The verifier of one model, as `zkml-gpu evm verifier` writes it.
interface IVerifier {
    function verify(bytes calldata proof, int256[] calldata values) external view returns (bool);
}

/// Pays whoever proves that the model says one class of an input nobody has been paid for.
///
/// The model's input is hashed: the chain sees the hash, and not the input. Its output is public, a score for each class.
/// What is proved is that the model gives these scores for some input with this hash that the prover knows. A proof can
/// be copied out of a pending transaction, so the input has to be reserved before it is proved: the hash of an input says
/// nothing of the proof, and who reserved it is who is paid.
contract PayOnClass {
    IVerifier public immutable verifier;
    /// The class that is paid for.
    uint256 public immutable class;
    /// Numbers of the output.
    uint256 public immutable classes;
    /// What a proof is paid, in wei.
    uint256 public immutable prize;
    /// Who may prove an input, by its hash.
    mapping(int256 => address) public reserved;
    /// Inputs that were paid for.
    mapping(int256 => bool) public paid;

    error NotReserved();
    error AlreadyReserved();
    error AlreadyPaid();
    error WrongLength();
    error OtherClass(uint256 proven);
    error Unpaid();
    error NoSuchClass();
    error NotProven();

    event Paid(address indexed to, int256 indexed input);

    constructor(IVerifier verifier_, uint256 class_, uint256 classes_, uint256 prize_) payable {
        // What is sent for a class that no proof can have would stay here.
        if (class_ >= classes_) revert NoSuchClass();
        verifier = verifier_;
        class = class_;
        classes = classes_;
        prize = prize_;
    }

    /// Keeps an input for the sender.
    function reserve(int256 input) external {
        if (reserved[input] != address(0)) revert AlreadyReserved();
        reserved[input] = msg.sender;
    }

    /// Pays the sender where the proof holds: the input's hash first, then the scores.
    function claim(bytes calldata proof, int256[] calldata values) external {
        if (values.length != 1 + classes) revert WrongLength();
        int256 input = values[0];
        if (reserved[input] != msg.sender) revert NotReserved();
        if (paid[input]) revert AlreadyPaid();
        uint256 greatest = 0;
        for (uint256 i = 1; i < classes; i++) {
            if (values[1 + i] > values[1 + greatest]) greatest = i;
        }
        if (greatest != class) revert OtherClass(greatest);
        // The verifier reverts where the proof does not hold; another one might say so.
        if (!verifier.verify(proof, values)) revert NotProven();
        paid[input] = true;
        emit Paid(msg.sender, input);
        (bool sent,) = payable(msg.sender).call{value: prize}("");
        if (!sent) revert Unpaid();
    }
}
